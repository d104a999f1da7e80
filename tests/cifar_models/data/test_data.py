import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import cifar_models.data.sources
from cifar_models.config import DataConfig
from cifar_models.data import DataError, data_fingerprint, load, split
from cifar_models.data.cifar import CIFAR10, Cifar
from cifar_models.data.sources import SOURCES, find_cifar
from tests.cifar_models.data.made_data import (
    encoded,
    noise,
    write_batches,
    write_cifar10_parquet,
    write_class_folders,
    write_parquet,
)


def publish(monkeypatch: pytest.MonkeyPatch, cifar: Cifar) -> None:
    """Makes other batches the published ones of CIFAR-10."""
    row = replace(SOURCES["cifar10"], find=partial(find_cifar, cifar))
    monkeypatch.setitem(SOURCES, "cifar10", row)


REAL_DATA = os.environ.get("CIFAR_GRID_TEST_DATA")


# Fingerprints ---------------------------------------------------------------------------------------------------


def test_fingerprint_is_the_same_wherever_the_data_lies_and_is_the_loaded_ones(tmp_path: Path) -> None:
    write_cifar10_parquet(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "plain_text")
    here = data_fingerprint("cifar10", tmp_path / "here")
    assert here == data_fingerprint("cifar10", tmp_path / "there") == load("cifar10", tmp_path / "there").fingerprint
    assert len(here) == 64


def test_fingerprint_changes_with_a_byte_a_name_a_division_and_a_layout(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"a": 5, "b": 5})
    seen = [data_fingerprint("folder", tmp_path)]
    (tmp_path / "a" / "000.png").write_bytes((tmp_path / "a" / "000.png").read_bytes() + b"\0")
    seen.append(data_fingerprint("folder", tmp_path))
    (tmp_path / "a" / "004.png").rename(tmp_path / "a" / "005.png")
    seen.append(data_fingerprint("folder", tmp_path))
    for name in "ab":
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "train" / name)
    write_class_folders(tmp_path / "test", {"a": 1, "b": 1})
    seen.append(data_fingerprint("folder", tmp_path))
    seen.append(data_fingerprint("digits", None))
    assert len(set(seen)) == len(seen)


def test_fingerprint_decodes_no_image(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}-0.parquet", [b"no image"], [0])
    data_fingerprint("cifar10", tmp_path)
    with pytest.raises(DataError):
        load("cifar10", tmp_path)


def test_planning_imports_neither_torch_nor_scikit_learn_nor_pyarrow() -> None:
    program = (
        "import sys; from cifar_models.data import data_fingerprint; data_fingerprint('digits', None); "
        "print(*{'torch', 'sklearn', 'pyarrow', 'pandas', 'ray'} & set(sys.modules))"
    )
    root = Path(cifar_models.data.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


# Finding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "data", "plain_text", "cifar10", "cifar10/plain_text"])
def test_parquet_is_found_where_the_hub_puts_it(tmp_path: Path, below: str) -> None:
    write_cifar10_parquet(tmp_path / below)
    dataset = load("cifar10", tmp_path)
    assert dataset.train_images.shape == (40, 3, 32, 32)
    assert dataset.test_labels.tolist() == list(range(10))
    assert dataset.classes[3] == "cat"


@pytest.mark.parametrize("named", ["", "cifar-10-batches-py"])
def test_batches_are_found_in_their_folder_and_are_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    publish(monkeypatch, write_batches(tmp_path / "cifar-10-batches-py"))
    write_cifar10_parquet(tmp_path)
    assert len(load("cifar10", tmp_path / named).train_images) == 100


def test_cifars_in_one_folder_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_cifar10_parquet(tmp_path / "cifar10")
    write_parquet(tmp_path / "cifar100" / "train-0.parquet", map(encoded, noise(1)), [99], label="fine_label")
    write_parquet(tmp_path / "cifar100" / "test-0.parquet", map(encoded, noise(1)), [98], label="fine_label")
    assert load("cifar100", tmp_path).train_labels.tolist() == [99]
    assert len(load("cifar10", tmp_path).classes) == 10


def test_cifar_that_is_not_there_is_downloaded_once_into_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    published = write_batches(tmp_path / "elsewhere")
    publish(monkeypatch, published)
    downloads = []

    def fake_download(cifar: Cifar, data_dir: Path) -> None:
        downloads.append(data_dir)
        shutil.copytree(tmp_path / "elsewhere", data_dir / cifar.batches_folder)

    monkeypatch.setattr(cifar_models.data.sources, "download_cifar", fake_download)
    fingerprint = data_fingerprint("cifar10", None)
    assert load("cifar10", None).fingerprint == fingerprint
    assert downloads == [Path("data")]


def test_download_can_be_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_models.data.sources, "download_cifar", lambda *_: pytest.fail("downloaded"))
    for use in (load, data_fingerprint):
        with pytest.raises(
            DataError, match="found no CIFAR-10, neither the torchvision folder cifar-10-batches-py nor"
        ):
            use("cifar10", tmp_path, download=False)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "folder"])
def test_folder_that_was_named_but_is_not_there_is_an_error_not_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(cifar_models.data.sources, "download_cifar", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(DataError, match=r"--data-dir .*missing does not exist"):
        load(name, tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        load(name, tmp_path / "file")
    assert not (tmp_path / "missing").exists()


def test_wrong_requests_are_one_line() -> None:
    with pytest.raises(DataError, match="there is no data set 'mnist'; there are digits, cifar10, cifar100, folder"):
        load("mnist", None)
    with pytest.raises(DataError, match="say where it is with --data-dir DIR"):
        load("folder", None)


def test_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_class_folders(tmp_path, {"a": 5, "b": 5})

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a/000\.png: can't be read \(Permission denied\)"):
        data_fingerprint("folder", tmp_path)


# The real thing -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not REAL_DATA, reason="CIFAR_GRID_TEST_DATA names no folder with CIFAR-10")
def test_real_cifar10_is_what_was_published() -> None:
    dataset = load("cifar10", Path(REAL_DATA or ""), download=False)
    assert dataset.train_images.shape == (50_000, 3, 32, 32)
    assert dataset.test_images.shape == (10_000, 3, 32, 32)
    assert np.bincount(dataset.train_labels).tolist() == [5_000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1_000] * 10
    means = dataset.train_images.mean(axis=(0, 2, 3)) / 255
    assert abs(means - (0.4914, 0.4822, 0.4465)).max() < 0.002
    parts = split(dataset, DataConfig(train_size=5_000))
    assert np.bincount(parts.val_labels).tolist() == [500] * 10
    assert np.bincount(parts.train_labels).tolist() == [500] * 10
    assert CIFAR10.classes == dataset.classes
