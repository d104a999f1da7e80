"""A trial trained here, its weights taken out of the ledger, and the script run as its user would run it."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_models.checkpoint import pack_weights
from cifar_models.config import TrainConfig
from cifar_models.data import load, split
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import start, train
from grid.errors import UserError
from grid.records.export import export_trial
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord

KEY = "ab" + "0" * 22
TWIN = "ab" + "1" * 22
SMALL = {"filters": [4], "layers_per_block": 2, "hidden_layer_count": 1, "hidden_layer_size": 16}
RESIDUAL = {"data": {"name": "digits", "train_size": 300, "test_size": 20}, "model": SMALL, "batch_size": 32}
PRETRAINED = RESIDUAL | {"model": {"architecture": "efficientnet_lite0", "weights": "imagenet"}}


def record(key: str, config: TrainConfig, epoch: EpochRecord, test: TestRecord) -> TrialRecord:
    return TrialRecord(
        fingerprint=key, status="ok", config=config, data_fingerprint="d", training_version=1, epochs=(epoch,),
        test_loss=test.loss, test_acc=test.acc, started=datetime.now(UTC).isoformat(), wall_s=1.0, machine="test",
    )  # fmt: skip


def trained_ledger(root: Path, settings: dict[str, object]) -> Ledger:
    """Two trials that begin alike, of which the first has weights."""
    config = TrainConfig.model_validate(settings | {"epochs": 1, "precision": "fp32"})
    dataset = load("digits", None)
    data, ledger = split(dataset, config.data), Ledger(Folder(root))
    state = start(config, data)
    epoch, test = train(config, data, state=state)
    assert isinstance(epoch, EpochRecord) and isinstance(test, TestRecord)
    for key in (KEY, TWIN):
        ledger.commit(record(key, config, epoch, test), test)
    ledger.add_weights(KEY, pack_weights(state, dataset.classes, {"fingerprint": KEY}))
    return ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return trained_ledger(tmp_path_factory.mktemp("ledger"), RESIDUAL)


def run_script(folder: Path, *arguments: object) -> list[str]:
    """As its user does, in a folder of their own."""
    command = [sys.executable, "-W", "error", str(folder / "load.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("settings", [RESIDUAL, PRETRAINED], ids=["residual", "pretrained"])
def test_the_script_sees_in_test_images_what_the_trial_saw(settings: dict[str, object], tmp_path: Path) -> None:
    ledger = trained_ledger(tmp_path / "ledger", settings)
    folder = export_trial(ledger, KEY, tmp_path / "out")
    assert folder == tmp_path / "out" / KEY
    config = TrainConfig.model_validate_json((folder / "config.json").read_bytes())
    assert config == ledger.read([KEY])[KEY].config
    images = split(load("digits", None), config.data).test_images
    paths = [tmp_path / f"{index}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
    told = run_script(folder, *paths)
    predicted = ledger.predictions(KEY)["predicted"]
    assert [line.split(": ")[1].split(" ")[0] for line in told] == [str(label) for label in predicted]
    assert len(np.unique(predicted)) > 1  # or any network would do


def test_the_script_needs_no_image(ledger: Ledger, tmp_path: Path) -> None:
    (told,) = run_script(export_trial(ledger, "ab0", tmp_path))
    assert told.startswith("noise: ")


def test_an_export_is_written_in_place_of_an_earlier_one(ledger: Ledger, tmp_path: Path) -> None:
    folder = export_trial(ledger, KEY, tmp_path)
    (folder / "load.py").write_text("old")
    assert export_trial(ledger, KEY, tmp_path) == folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "load.py", "weights.safetensors"]
    assert "old" not in (folder / "load.py").read_text().splitlines()


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("cd", "fingerprint cd: no trial in .* begins so"),
        ("ab", f"fingerprint ab: 2 trials begin so \\({KEY}, {TWIN}\\); give more digits"),
        (TWIN, f"trial {TWIN}: its weights were not kept; run its question with --keep-weights all"),
        ("../ab", "must be up to 24 hexadecimal digits"),
        ("ab/../cd", "must be up to 24 hexadecimal digits"),
        ("", "must be up to 24 hexadecimal digits"),
        ("*", "must be up to 24 hexadecimal digits"),
        ("ab\n", "must be up to 24 hexadecimal digits"),
        (KEY + "0", "must be up to 24 hexadecimal digits"),
    ],
)
def test_what_can_not_be_exported_is_one_line(ledger: Ledger, prefix: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=problem) as caught:
        export_trial(ledger, prefix, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_one_line(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match=r"out.*: File exists; export to another folder"):
        export_trial(ledger, KEY, tmp_path / "out")


def test_truncated_weights_are_one_line(ledger: Ledger, tmp_path: Path) -> None:
    weights = ledger.folder(KEY) / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"weights.safetensors: damaged .* --keep-weights all$"):
        export_trial(ledger, KEY, tmp_path)
    weights.write_bytes(whole)


def test_exporting_imports_no_torch() -> None:
    code = "import sys, grid.records.export; print(*{'torch', 'ray'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""
