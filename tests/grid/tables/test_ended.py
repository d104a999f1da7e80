"""What is kept of the ledger, and the folder of predictions that grows with it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from grid.errors import UserError
from grid.records import files
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.tables.ended import KEPT, read_ended, refuse_damaged, tallies
from grid.tables.schemas import PREDICTIONS
from grid.tables.tallies import tally
from tests.grid.records.test_ledger import commit_in_format_1, predictions, record

FIRST, SECOND, THIRD = (f"{digit * 24}" for digit in "abc")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "SETTLING_NS", 0)
    yield


class Counting(Ledger):
    """Counts the trials that are read."""

    reads = 0

    def read_whole(self, fingerprint: str):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().read_whole(fingerprint)


def read(root: Path, *fingerprints: str) -> tuple[pa.Table, int]:
    """The rows of some trials, and how many trials were read for them."""
    ledger = Counting(Folder(root).below("ledger"))
    ended = read_ended(fingerprints, ledger, Folder(root))
    refuse_damaged(ended.damaged, ledger)
    return ended.rows, ledger.reads


def parts(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "predictions").iterdir()}


def test_predictions_keep_each_image_and_read_as_one_table(tmp_path: Path) -> None:
    ledger, test = Ledger(Folder(tmp_path).below("ledger")), predictions()
    ledger.commit(record(FIRST), test)
    commit_in_format_1(ledger, SECOND)
    read(tmp_path, FIRST, SECOND)
    frame = pd.read_parquet(tmp_path / "predictions").set_index("fingerprint")
    mine = frame.loc[[FIRST]]
    assert mine["image"].tolist() == [0, 1, 2, 3, 4]
    assert mine["predicted"].tolist() == test.predicted.tolist()
    for name in ("true_prob", "predicted_prob"):
        np.testing.assert_array_equal(mine[name].to_numpy(), getattr(test, name).astype(np.float32))
    assert frame["predicted_prob"][SECOND].isna().all() and frame["true_prob"].notna().all()
    assert ds.dataset(tmp_path / "predictions").schema.equals(PREDICTIONS)


def test_the_answers_of_a_trial_are_counted_once(tmp_path: Path) -> None:
    ledger, test = Ledger(Folder(tmp_path).below("ledger")), predictions()
    ledger.commit(record(FIRST), test)
    commit_in_format_1(ledger, SECOND)
    expected = tally(test.label, test.predicted, test.predicted_prob)
    for _ in range(2):  # from the ledger, and from what was kept
        found = tallies(read(tmp_path, FIRST, SECOND)[0])
        assert found[FIRST].confusion.tolist() == found[SECOND].confusion.tolist() == expected.confusion.tolist()
        assert expected.bins is not None and found[FIRST].bins is not None and found[SECOND].bins is None
        np.testing.assert_array_equal(found[FIRST].bins, expected.bins)


def test_without_any_trial_there_is_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "predictions.parquet").write_bytes(b"of an earlier version")
    assert read(tmp_path, FIRST)[0].num_rows == 0
    assert pd.read_parquet(tmp_path / "predictions").columns.tolist() == PREDICTIONS.names
    assert not (tmp_path / "predictions.parquet").exists()


def test_a_new_trial_is_read_alone_and_rewrites_nothing(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    ledger.commit(record(FIRST), predictions())
    ledger.commit(record(SECOND, "diverged", test_acc=None, test_loss=None))
    first, num_read = read(tmp_path, FIRST, SECOND, THIRD)
    assert (first["fingerprint"].to_pylist(), num_read) == ([FIRST, SECOND], 2)
    assert read(tmp_path, FIRST, SECOND, THIRD) == (first, 0)
    before = parts(tmp_path)
    ledger.commit(record(THIRD), predictions())
    grown, num_read = read(tmp_path, THIRD, FIRST, SECOND)
    assert (grown["fingerprint"].to_pylist(), num_read) == ([THIRD, FIRST, SECOND], 1)
    assert before.items() < parts(tmp_path).items()
    assert sorted(pd.read_parquet(tmp_path / "predictions")["fingerprint"].unique()) == [FIRST, THIRD]


def test_what_is_no_longer_wanted_or_was_changed_is_no_longer_there(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    for key in (FIRST, SECOND):
        ledger.commit(record(key), predictions())
    read(tmp_path, FIRST, SECOND)
    (name,) = before = parts(tmp_path)
    (tmp_path / "predictions" / name).write_bytes(b"damaged")
    (tmp_path / "predictions" / "more.parquet").write_bytes(b"foreign")
    assert read(tmp_path, FIRST, SECOND)[1] == 2
    assert parts(tmp_path) == before
    read(tmp_path, SECOND)
    assert pd.read_parquet(tmp_path / "predictions")["fingerprint"].unique().tolist() == [SECOND]


def test_a_trial_that_was_damaged_afterwards_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    ledger.commit(record(FIRST), predictions())
    assert ledger.set_aside_damaged([FIRST]) == []
    read(tmp_path, FIRST)
    path = ledger.folder(FIRST) / "predictions.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match="not the file that was written"):
        read(tmp_path, FIRST)
    assert [damaged.fingerprint for damaged in ledger.set_aside_damaged([FIRST])] == [FIRST]


def test_damaged_trials_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    for key in (FIRST, SECOND, THIRD):
        ledger.commit(record(key), predictions())
    (ledger.folder(FIRST) / "predictions.npz").write_bytes(b"damaged")
    (ledger.folder(THIRD) / "trial.json").write_bytes(b"damaged")
    ended = read_ended((FIRST, SECOND, THIRD), ledger, Folder(tmp_path))
    assert ended.rows["fingerprint"].to_pylist() == [SECOND]
    assert ended.damaged == (FIRST, THIRD)
    refuse_damaged([THIRD], ledger)  # it has no record, so it never ended
    with pytest.raises(UserError, match=f"trial {FIRST}: predictions.npz is not the file that was written"):
        refuse_damaged(ended.damaged, ledger)


def test_what_was_read_whole_is_not_looked_through_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Counting(Folder(tmp_path).below("ledger"))
    ledger.commit(record(FIRST), predictions())
    read_ended([FIRST], ledger, Folder(tmp_path))
    assert ledger.set_aside_damaged([FIRST]) == [] and ledger.reads == 1


@pytest.mark.parametrize("harm", ["no key", "other key", "changed"])
def test_what_this_user_did_not_keep_is_not_believed(
    tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    ledger.commit(record(FIRST), predictions())
    first, _ = read(tmp_path, FIRST)
    if harm == "changed":
        kept = tmp_path / KEPT
        kept.write_bytes(kept.read_bytes().replace(b"ok", b"no"))
    else:
        monkeypatch.setenv("CIFAR_GRID_CACHE", "off" if harm == "no key" else str(tmp_path / "other"))
    again, num_read = read(tmp_path, FIRST)
    assert num_read == 1 and again.drop_columns(["stamp"]) == first.drop_columns(["stamp"])
