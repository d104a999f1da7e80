"""A schedule and Ray Tune: trials that pause and go on, and jobs that are not there yet when Tune asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cifar_models.config import TrainConfig
from grid.execution.resources import Resources
from grid.execution.schedule import Job, Queue
from grid.records.status import Status
from tests.grid.execution.small_runs import curves, run, small_trials, uninterrupted


def test_the_queue_hands_out_every_trial_once_in_order_to_its_end() -> None:
    trials = small_trials(3, epochs=5)
    queue = Queue(trials)
    jobs = []
    while not queue.is_done():
        job = queue.next_job()
        assert job is not None
        jobs.append(job)
    assert [job.fingerprint for job in jobs] == list(trials)
    assert [job.until_epoch for job in jobs] == [5, 5, 5]
    assert queue.next_job() is None


class OneAfterAnother:
    """Trains each trial for an epoch, then goes on with the first alone; has nothing to do while any is running."""

    def __init__(self, trials: Mapping[str, TrainConfig]) -> None:
        self.trials = trials
        self.jobs = [Job(fingerprint=key, config=config, until_epoch=1) for key, config in trials.items()]
        self.jobs.append(self.jobs[0].model_copy(update={"until_epoch": self.jobs[0].config.epochs}))
        self.running = False
        self.told: list[tuple[str, Status, int]] = []
        self.asked_in_vain = 0

    def next_job(self) -> Job | None:
        if self.running:
            self.asked_in_vain += 1
            return None
        self.running = True
        return self.jobs.pop(0)

    def is_done(self) -> bool:
        return not self.jobs

    def job_ended(self, fingerprint: str, status: Status, val_acc: Sequence[float]) -> None:
        self.running = False
        self.told.append((fingerprint, status, len(val_acc)))


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_pauses_and_goes_on_when_the_schedule_says_so_with_the_bits_of_an_uninterrupted_one(
    tmp_path: Path,
) -> None:
    trials = small_trials(2, epochs=4)
    schedule = OneAfterAnother(trials)
    ledger, _ = run(schedule, tmp_path, Resources())
    first, second = trials
    assert schedule.told == [(first, "stopped", 1), (second, "stopped", 1), (first, "ok", 4)]
    assert schedule.asked_in_vain > 0
    records = ledger.read(trials)
    assert curves(records[first].epochs) == uninterrupted(trials[first])
    assert (records[second].status, len(records[second].epochs)) == ("stopped", 1)
    assert records[second].reason == "stopped after epoch 1 of 4 by the scheduler"
    kept = {path.parent.name for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()}
    assert kept == {second}, "a paused trial keeps its checkpoint, a finished one does not"
