"""What Ray Tune tells during a run of what becomes of its trials, and who has to know it."""

import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from grid.execution.interrupt import Interruption
from grid.execution.memory_kills import MemoryKills
from grid.execution.progress import ProgressDisplay
from grid.execution.schedule import Job, Schedule
from grid.records.status import Status

ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")
FAILURE_HEADING = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)


class NotSaved:
    """Is pickled without its content: Tune saves what it is given for a restore that is never used here."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@dataclass(eq=False)
class RunWatcher(NotSaved, tune.Callback):
    """Tells the schedule and the display what becomes of the trials.

    Attributes:
        schedule: Learns how each job ended.
        display: Shows it.
        interruption: Whether the user asked for the end.
        record_lost: Commits a trial whose process was lost for the last time, given what Ray said of it, and the count
            of the kernel's kills that it had read last; returns its status and why.
        memory_kills: The last such count of each trial, by its fingerprint.
        storage_problems: Why checkpoints could not be kept, by the fingerprint of the trial.
        ledger_problem: Why a trial could not be committed.
    """

    schedule: Schedule
    display: ProgressDisplay
    interruption: Interruption
    record_lost: Callable[[Job, str, MemoryKills | None], tuple[Status, str]]
    memory_kills: dict[str, MemoryKills] = field(default_factory=dict)
    storage_problems: dict[str, str] = field(default_factory=dict)
    ledger_problem: str | None = None
    _announced: bool = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial got its worker."""
        job = job_of(trial)
        self.display.state.trial_started(job.fingerprint, job.until_epoch)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial started, finished an epoch, or was committed."""
        job = job_of(trial)
        if "memory_kills" in result:
            self.memory_kills[job.fingerprint] = MemoryKills.model_validate(result["memory_kills"])
        if "status" not in result:
            if result.get("val_acc"):
                self.display.state.epoch_done(job.fingerprint, len(result["val_acc"]), result["val_acc"][-1])
        elif "ledger_problem" in result:
            self.ledger_problem = result["ledger_problem"]
        elif result["storage_problem"]:
            self.storage_problems[job.fingerprint] = result["storage_problem"]

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended by itself, or was dropped before it started."""
        if "status" in trial.last_result:
            told = trial.last_result
            self._ended(job_of(trial), told["status"], told.get("reason"), told["val_acc"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's process was lost for the last time."""
        job = job_of(trial)
        try:
            status, reason = self.record_lost(job, loss_of(trial), self.memory_kills.get(job.fingerprint))
        except OSError as error:
            self.ledger_problem = str(error)
        else:
            self._ended(job, status, reason, (trial.last_result or {}).get("val_acc", ()))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune has finished an iteration of its loop.

        Raises:
            OSError: A trial could not be committed, and so none that is still running could be.
            KeyboardInterrupt: The run was to end before.
        """
        self.interruption.check()
        if self.ledger_problem:
            problem = f"a trial can't be written ({self.ledger_problem}); finished ones are kept: make room, run again"
            raise OSError(errno.EIO, problem, "ledger")
        if self.interruption.requested and not self._announced:
            self._announced = True
            self.display.say("Interrupted: running trials finish, and no other starts; press Ctrl-C again to stop now")
        self.display.update()

    def say_problems(self) -> None:
        """Reports problems that did not stop the run, once, at its end."""
        if self.storage_problems:
            num_trials, problem = len(self.storage_problems), next(iter(self.storage_problems.values()))
            self.display.say(f"{num_trials} trials were trained without a checkpoint: {problem}")

    def _ended(self, job: Job, status: Status, reason: str | None, val_acc: Sequence[float]) -> None:
        self.display.trial_ended(job.fingerprint, status, reason)
        self.schedule.job_ended(job.fingerprint, status, val_acc)


def job_of(trial: Trial) -> Job:
    """The job that one of Tune's trials was made for."""
    job: Job = trial.config["job"]
    return job


def loss_of(trial: Trial) -> str:
    """What Ray said when a trial's process was last lost, from the file that Tune keeps of all its losses."""
    assert trial.error_file is not None
    told = FAILURE_HEADING.split(Path(trial.error_file).read_text(encoding="utf-8"))[-1]
    return ANSI_COLOR.sub("", told).strip()
