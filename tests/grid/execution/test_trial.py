"""What a trial keeps for a longer one of the same configuration, and how that one goes on."""

from itertools import islice
from pathlib import Path

import pytest

from cifar_models.config import TrainConfig
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import start, train
from grid.execution.checkpoints import CheckpointStore
from grid.execution.resources import Resources
from grid.execution.schedule import Job, Queue
from grid.execution.trial import TrialCheckpoint
from grid.records.fingerprint import fingerprint, lineage
from tests.cifar_models.test_checkpoint import bits
from tests.cifar_models.test_train import make_config, make_split
from tests.grid.execution.small_runs import curves, run, small_trials, uninterrupted


def checkpoint_of(config: TrainConfig, folder: Path) -> TrialCheckpoint:
    job = Job(fingerprint=fingerprint(config, "d"), config=config, until_epoch=config.epochs)
    return TrialCheckpoint(CheckpointStore(str(folder)), job, lineage(config, "d"), interval_s=0)


def train_and_keep(config: TrainConfig, folder: Path) -> tuple[int, list[EpochRecord | TestRecord]]:
    """Trains as a worker does; returns how many epochs were there already, and all records."""
    checkpoint, state = checkpoint_of(config, folder), start(config, make_split())
    earlier = checkpoint.load(state)
    records: list[EpochRecord | TestRecord] = [*earlier, *train(config, make_split(), state=state)]
    checkpoint.keep(state, [record for record in records if isinstance(record, EpochRecord)])
    assert checkpoint.problem is None
    return len(earlier), records


@pytest.mark.parametrize("optimizer", ["adagrad", "adamw", "sgd_momentum"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_more_epochs_go_on_from_the_kept_state_to_the_bits_of_one_go(
    tmp_path: Path, optimizer: str, precision: str
) -> None:
    changes = {"optimizer__name": optimizer, "precision": precision, "augmentation__flip": 0.5}
    train_and_keep(make_config(**changes, epochs=2), tmp_path)
    longer = make_config(**changes, epochs=4)
    num_earlier, records = train_and_keep(longer, tmp_path)
    assert num_earlier == 2
    assert bits(records) == bits(train(longer, make_split()))


def test_the_longest_state_is_kept_and_the_same_length_trains_nothing(tmp_path: Path) -> None:
    lengths = [3, 1, 3, 4]  # the second can't use the state of the first, and must not take its place
    assert [train_and_keep(make_config(epochs=epochs), tmp_path)[0] for epochs in lengths] == [0, 0, 3, 3]


def test_a_schedule_that_hangs_on_the_length_is_trained_from_the_start_and_keeps_nothing(tmp_path: Path) -> None:
    changes = {"optimizer__schedule": "cosine"}
    assert [train_and_keep(make_config(**changes, epochs=epochs), tmp_path)[0] for epochs in (1, 2)] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_trials_own_checkpoint_goes_before_a_kept_state(tmp_path: Path) -> None:
    train_and_keep(make_config(epochs=1), tmp_path)
    config = make_config(epochs=4)
    interrupted, state = checkpoint_of(config, tmp_path), start(config, make_split())
    epochs = interrupted.load(state)
    for record in islice(train(config, make_split(), state=state), 2):
        assert isinstance(record, EpochRecord)
        interrupted.save(state, epochs := [*epochs, record], always=True)
    num_earlier, records = train_and_keep(config, tmp_path)
    assert num_earlier == 3
    assert bits(records) == bits(train(config, make_split()))


@pytest.mark.ray
def test_a_run_with_more_epochs_trains_only_those_that_are_new(tmp_path: Path) -> None:
    short, long = small_trials(2, epochs=2), small_trials(2, epochs=4)
    ledger, _ = run(Queue(short), tmp_path, Resources(keep_states=True))
    ledger, _ = run(Queue(long), tmp_path, Resources())
    before, after = ledger.read(short), ledger.read(long)
    for earlier, later in zip(short, long, strict=True):
        assert after[later].epochs[:2] == before[earlier].epochs  # their times, too: they were not trained again
        assert curves(after[later].epochs) == uninterrupted(long[later])
        assert len(ledger.predictions(later)["label"]) == 60
    assert len(list(tmp_path.glob("checkpoints/*-kept/state.safetensors"))) == 2
