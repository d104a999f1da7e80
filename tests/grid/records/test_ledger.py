import hashlib
import io
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from cifar_models.config import TrainConfig
from cifar_models.records import EpochRecord, TestRecord
from grid.errors import UserError
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord
from grid.records.predictions import COLUMNS

KEY = "ab" + "0" * 22


def record(key: str = KEY, status: str = "ok", **changes: object) -> TrialRecord:
    epoch = EpochRecord(epoch=1, lr=0.1, train_loss=2.0, train_acc=0.2, val_loss=1.9, val_acc=0.3, wall_s=1.5)
    fields: dict[str, object] = {
        "fingerprint": key, "status": status, "reason": None if status == "ok" else "because", "config": TrainConfig(),
        "data_fingerprint": "d", "training_version": 1, "epochs": (epoch,), "test_loss": 1.8, "test_acc": 0.31,
        "started": "2026-01-01T00:00:00+00:00", "wall_s": 2.0, "machine": "test",
    }  # fmt: skip
    return TrialRecord.model_validate(fields | changes)


def predictions(num_images: int = 5) -> TestRecord:
    label = np.arange(num_images, dtype=np.uint8)
    true_prob = np.linspace(0, 1, num_images).astype(np.float16)
    return TestRecord(1.8, 0.31, label, label[::-1].copy(), true_prob, np.maximum(true_prob, 1 - true_prob))


def test_what_was_committed_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    ledger, test = Ledger(Folder(tmp_path)), predictions()
    odd = record(epochs=(record().epochs[0].model_copy(update={"val_loss": 0.1 + 0.2, "train_loss": float("nan")}),))
    ledger.commit(odd, test)
    read = ledger.read([KEY])[KEY]
    assert read.epochs[0].val_loss == 0.1 + 0.2
    assert np.isnan(read.epochs[0].train_loss)
    arrays = ledger.predictions(KEY)
    assert arrays["true_prob"].tobytes() == test.true_prob.tobytes()
    assert arrays["predicted_prob"].tobytes() == test.predicted_prob.tobytes()
    assert arrays["predicted"].dtype == np.uint8
    assert ledger.fingerprints() == [KEY]


def commit_in_format_1(ledger: Ledger, key: str = KEY, *, lacking: tuple[str, ...] = ("predicted_prob",)) -> None:
    """A trial as it was written before predictions had `predicted_prob`."""
    archive = io.BytesIO()
    np.savez(archive, **{name: getattr(predictions(), name) for name in COLUMNS if name not in lacking})
    sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
    ledger.files.write(f"{key[:2]}/{key}/predictions.npz", archive.getvalue())
    old = record(key, format=1, predictions_sha256=sha256)
    ledger.files.write(f"{key[:2]}/{key}/trial.json", old.model_dump_json().encode())


def test_a_trial_of_format_1_is_read_without_what_it_lacks(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    commit_in_format_1(ledger)
    assert ledger.set_aside_damaged([KEY]) == []
    assert ledger.predictions(KEY).keys() == {"label", "predicted", "true_prob"}


@pytest.mark.parametrize("lacking", [(), ("true_prob", "predicted_prob")])
def test_a_trial_of_format_1_has_exactly_the_arrays_of_that_format(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    ledger = Ledger(Folder(tmp_path))
    commit_in_format_1(ledger, lacking=lacking)
    assert len(ledger.set_aside_damaged([KEY])) == 1


def test_a_settled_trial_is_never_written_again(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(wall_s=1.0), predictions())
    ledger.commit(record(wall_s=2.0), predictions())
    assert ledger.read([KEY])[KEY].wall_s == 1.0


@pytest.mark.parametrize("status", ["error", "out_of_memory", "stopped"])
def test_a_failed_trial_gives_way_to_a_better_end(tmp_path: Path, status: str) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(status=status, test_acc=None, test_loss=None))
    assert ledger.read([KEY], settled_only=True) == {}
    ledger.commit(record(), predictions())
    assert ledger.read([KEY], settled_only=True)[KEY].status == "ok"


def test_a_diverged_trial_is_settled(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(status="diverged", test_acc=None, test_loss=None))
    assert KEY in ledger.read([KEY], settled_only=True)


def test_a_commit_that_is_killed_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(Folder(tmp_path))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.commit(record(), predictions())
    assert ledger.read([KEY]) == {}
    (left,) = (tmp_path / ".staging").iterdir()
    ledger.prepare()
    assert left.exists(), "it might be another run's, at work"
    os.utime(left, (0, 0))
    ledger.prepare()
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize("name", ["trial.json", "predictions.npz"])
@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_trial_is_named_set_aside_and_free_to_be_trained_again(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    ledger, other = Ledger(Folder(tmp_path)), "cd" + "0" * 22
    ledger.commit(record(), predictions())
    ledger.commit(record(other), predictions())
    path = ledger.folder(KEY) / name
    path.unlink() if content is None else path.write_bytes(content)
    damaged = ledger.set_aside_damaged([KEY, other, "ef" + "0" * 22])
    assert [d.fingerprint for d in damaged] == [KEY]
    assert name in damaged[0].problem
    assert damaged[0].moved_to.is_dir()
    assert not ledger.folder(KEY).exists()
    assert other in ledger.read([KEY, other])
    ledger.commit(record(), predictions())
    assert ledger.set_aside_damaged([KEY, other]) == []


def test_a_trial_under_a_foreign_name_is_damaged(tmp_path: Path) -> None:
    ledger, other = Ledger(Folder(tmp_path)), "ab" + "1" * 22
    ledger.commit(record(), predictions())
    ledger.folder(KEY).rename(ledger.folder(other))
    assert "belongs to" in ledger.set_aside_damaged([other])[0].problem


def test_a_failure_without_a_reason_cannot_be_recorded() -> None:
    with pytest.raises(ValidationError, match="has a reason"):
        record(status="error", reason=None)


def test_a_results_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"results: can't be written .*give another with --results"):
        Ledger(Folder(tmp_path / "results").below("ledger")).prepare()


def test_weights_are_kept_beside_a_trial_until_they_are_removed(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    with pytest.raises(ValueError, match="was not committed before its weights"):
        ledger.add_weights(KEY, b"weights")
    ledger.commit(record(), predictions())
    assert not ledger.has_weights(KEY)
    ledger.add_weights(KEY, b"earlier")
    ledger.add_weights(KEY, b"weights")
    ledger.commit(record(wall_s=9.0), predictions())
    assert ledger.has_weights(KEY) and ledger.weights(KEY) == b"weights"
    assert ledger.set_aside_damaged([KEY]) == []
    ledger.remove_weights(KEY)
    ledger.remove_weights(KEY)
    assert not ledger.has_weights(KEY) and KEY in ledger.read([KEY])


def test_weights_of_a_trial_that_goes_on_are_not_those_of_its_end(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(status="stopped", test_acc=None, test_loss=None))
    ledger.add_weights(KEY, b"half-way")
    ledger.commit(record(), predictions())
    assert not ledger.has_weights(KEY)


def test_a_full_disk_leaves_nothing_half_written_and_what_was_there(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(status="stopped", test_acc=None, test_loss=None))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))  # a file that grows beyond is refused
    try:
        for test in (None, predictions()):
            with pytest.raises(OSError, match="File too large"):
                ledger.commit(record(), test)
        with pytest.raises(OSError, match="File too large"):
            ledger.add_weights(KEY, bytes(301))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / ".staging").iterdir()) == []
    assert ledger.read([KEY])[KEY].status == "stopped"
    assert sorted(path.name for path in ledger.folder(KEY).iterdir()) == ["trial.json"]
