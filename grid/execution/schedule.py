"""What to train next: a schedule decides, Ray Tune carries it out."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from cifar_models.config import Frozen, TrainConfig
from grid.records.status import Status


class Job(Frozen):
    """A trial to start now, or to go on with.

    Attributes:
        fingerprint: Its key in the ledger.
        config: What to train.
        until_epoch: The epoch after which it ends or pauses; `config.epochs` is to the end, with the test set.
    """

    fingerprint: str
    config: TrainConfig
    until_epoch: int


class Schedule(Protocol):
    """Hands out jobs, and learns how each ended.

    Attributes:
        trials: What it may hand out, by fingerprint.
    """

    trials: Mapping[str, TrainConfig]

    def next_job(self) -> Job | None:
        """The job to start next; None if there is nothing to start at the moment."""

    def is_done(self) -> bool:
        """Whether nothing will ever come."""

    def job_ended(self, fingerprint: str, status: Status, val_acc: Sequence[float]) -> None:
        """A job that was handed out ended.

        Args:
            fingerprint: Its trial.
            status: As the ledger has it; `stopped` if it paused at its `until_epoch` with its checkpoint kept.
            val_acc: Validation accuracy of every epoch so far, as a fraction, from the first epoch of the trial. It
                goes beyond `until_epoch` where an earlier run had come further, and is short if the worker was lost.
        """


class Queue:
    """A schedule that hands out every trial once, in order, each to its end: the plain grid."""

    def __init__(self, trials: Mapping[str, TrainConfig]) -> None:
        self.trials = trials
        self._waiting = deque(trials.items())

    def next_job(self) -> Job | None:
        """The next trial, if any is left."""
        if not self._waiting:
            return None
        fingerprint, config = self._waiting.popleft()
        return Job(fingerprint=fingerprint, config=config, until_epoch=config.epochs)

    def is_done(self) -> bool:
        """Whether every trial was handed out."""
        return not self._waiting

    def job_ended(self, fingerprint: str, status: Status, val_acc: Sequence[float]) -> None:
        """Changes nothing: no trial depends on another."""
