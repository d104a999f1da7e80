from pathlib import Path

import pytest

from cifar_models.config import TrainConfig
from cifar_models.data import split
from cifar_models.device import default_device, describe
from cifar_models.records import EpochRecord
from grid.execution.resources import Resources
from grid.forecast import forecast as room
from grid.forecast.forecast import forecast
from grid.forecast.speeds import Range, Speed, workload_of
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord
from tests.grid.execution.small_runs import DATASET, small_config

TRAINED, NEW = small_config(epochs=2, filters=4), small_config(epochs=2, filters=8)
RESOURCES = Resources(gpus=0)


def ledger_with(config: TrainConfig, folder: Path) -> Ledger:
    """A ledger whose only trial took a second an epoch on this machine."""
    epoch = EpochRecord(epoch=1, lr=0.1, train_loss=1, train_acc=0.5, val_loss=1, val_acc=0.5, wall_s=1.0)
    ledger = Ledger(Folder(folder))
    ledger.commit(
        TrialRecord(
            fingerprint="0" * 24,
            status="stopped",
            reason="for a test",
            config=config,
            data_fingerprint=DATASET.fingerprint,
            training_version=1,
            epochs=(epoch,),
            num_train=len(split(DATASET, config.data).train_labels),
            started="2025-01-01T00:00:00+00:00",
            wall_s=1.0,
            machine=describe(default_device()),
        )
    )
    return ledger


def test_only_kinds_that_were_never_trained_here_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[TrainConfig] = []

    def calibrate(workloads: list[TrainConfig], *given: int, on_gpu: bool) -> dict[TrainConfig, Speed | str]:
        timed.extend(workloads)
        return {workload: Speed(train_s=Range(0.1, 0.2), eval_s=Range(0.1, 0.2)) for workload in workloads}

    monkeypatch.setattr(room, "calibrate", calibrate)
    found = forecast([TRAINED, NEW, NEW], DATASET, ledger_with(TRAINED, tmp_path), RESOURCES)
    assert timed == [workload_of(NEW)]
    assert (found.num_trials, found.unknown, found.gpu_s) == (3, {}, (0, 0))


def test_what_could_not_be_timed_is_unknown_for_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "calibrate", lambda workloads, *_, on_gpu: dict.fromkeys(workloads, "out of memory"))
    found = forecast([TRAINED, NEW, NEW], DATASET, ledger_with(TRAINED, tmp_path), RESOURCES)
    assert (found.num_trials, found.unknown) == (1, {"out of memory": 2})


@pytest.mark.parametrize("gpus", [0.0, 0.5])
def test_the_users_choice_of_gpus_holds_whatever_this_machine_has(gpus: float) -> None:
    assert Resources(gpus=gpus).settled().share("residual_cnn").gpus == gpus


def test_without_a_choice_a_trial_has_a_gpu_if_this_machine_has_one() -> None:
    assert Resources().settled().gpus == (default_device().type == "cuda")
