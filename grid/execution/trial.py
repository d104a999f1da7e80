"""A trial as Ray runs it: trains on a worker, and hands what came of it to the one process that writes the ledger."""

import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import ray
import torch
from ray import tune

from cifar_models.checkpoint import TrainState, pack_weights
from cifar_models.config import TRAINING_VERSION
from cifar_models.data import Dataset, split
from cifar_models.device import default_device, describe, package_versions, prepare_process
from cifar_models.models import build_model, count_parameters
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import start, train
from grid.execution.checkpoints import CheckpointStore, StorageError
from grid.execution.memory_kills import memory_kills_here
from grid.execution.resources import Resources
from grid.execution.schedule import Job
from grid.records.fingerprint import lineage
from grid.records.ledger import TrialRecord
from grid.records.status import SETTLED, Status


@dataclass
class Progress:
    """How far a trial has come, and how it ended.

    Attributes:
        compiled: What the record adds to the machine's name; empty if the network was not compiled.
        earlier_s: Seconds that went into its first epochs before this process went on from a checkpoint.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    test: TestRecord | None = None
    weights: bytes | None = None
    status: Status = "ok"
    reason: str | None = None
    traceback: str | None = None
    num_parameters: int | None = None
    num_train: int | None = None
    compiled: str = ""
    earlier_s: float = 0.0


@dataclass
class TrialCheckpoint:
    """The checkpoint of one trial. Storage that fails costs the checkpoint, never the trial.

    Attributes:
        lineage: What names the state that is kept for the same trial with more epochs; None if none can be.
        problem: Why the storage could not be used the last time; None if it could.
    """

    store: CheckpointStore
    job: Job
    lineage: str | None
    interval_s: float
    saved_at: float = field(default_factory=time.monotonic)
    problem: str | None = None

    def load(self, state: TrainState) -> list[EpochRecord]:
        """Goes on from the checkpoint, or from the kept state of a shorter trial; returns the curves up to it."""
        with self._reported():
            for name in filter(None, (self.job.fingerprint, self.lineage)):
                if epochs := self.store.load(name, state, self.job.config.epochs):
                    return list(epochs)
        return []

    def save(self, state: TrainState, epochs: list[EpochRecord], *, always: bool) -> None:
        """Saves, if the last time is the interval ago."""
        if not always and time.monotonic() - self.saved_at < self.interval_s:
            return
        with self._reported():
            self.store.save(self.job.fingerprint, state, epochs)
            self.problem = None
        self.saved_at = time.monotonic()

    def keep(self, state: TrainState, epochs: list[EpochRecord]) -> None:
        """Keeps the final state, unless the rate hangs on the length, or one after as many epochs is kept already."""
        with self._reported():
            if self.lineage and self.store.num_epochs(self.lineage) < len(epochs):
                self.store.save(self.lineage, state, epochs)

    def remove(self) -> None:
        """Forgets it: the trial is in the ledger."""
        with self._reported():
            self.store.remove(self.job.fingerprint)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self.problem = str(error)


def run_trial(
    tune_config: dict[str, Job],
    *,
    dataset: Dataset,
    recorder: Any,
    store: CheckpointStore,
    resources: Resources,
    keep_weights: bool,
) -> None:
    """Carries out one job and commits its trial, whatever becomes of it. Reports each epoch to Tune.

    Args:
        tune_config: What the searcher gave to Tune: the `Job`.
        dataset: The images.
        recorder: The actor that commits.
        store: Where the checkpoint is kept.
        resources: What the trial may use, where weights are, and how often to save.
        keep_weights: Whether to hand the final weights to the recorder.
    """
    job = tune_config["job"]
    share = resources.share(job.config.model.architecture)
    started, clock = datetime.now(UTC), time.perf_counter()
    tune.report({"memory_kills": memory_kills_here().model_dump()})  # while it can
    prepare_process(share.num_threads)
    limit_memory(share.gpus)
    kept = lineage(job.config, dataset.fingerprint)
    checkpoint = TrialCheckpoint(store, job, kept, resources.checkpoint_interval_s)
    progress = Progress()
    try:
        carry_out(job, dataset, checkpoint, progress, resources, keep_weights)
    except Exception as error:  # every planned trial ends as a row, whatever went wrong in it
        progress.status = "out_of_memory" if is_out_of_memory(error) else "error"
        progress.reason = f"{type(error).__name__}: {error}".splitlines()[0]
        progress.traceback = traceback.format_exc()
    wall_s = progress.earlier_s + time.perf_counter() - clock
    record = make_record(job, dataset.fingerprint, progress, started, wall_s)
    report = {
        "status": progress.status,
        "reason": progress.reason,
        "val_acc": [epoch.val_acc for epoch in progress.epochs],
    }
    try:
        ray.get(recorder.commit.remote(record, progress.test, progress.weights))
    except OSError as error:  # what Ray raises for the recorder's OSError is one, too
        tune.report(report | {"ledger_problem": str(getattr(error, "cause", error))})
        return
    if progress.status in SETTLED:
        checkpoint.remove()
    tune.report(report | {"storage_problem": checkpoint.problem})


def carry_out(
    job: Job,
    dataset: Dataset,
    checkpoint: TrialCheckpoint,
    progress: Progress,
    resources: Resources,
    keep_weights: bool,
) -> None:
    """Trains from the checkpoint, or from the start, to the end of the job; `progress` is filled on the way."""
    config, device = job.config, default_device()
    data = split(dataset, config.data)
    progress.num_train = len(data.train_labels)
    with torch.device("meta"):
        progress.num_parameters = count_parameters(build_model(config.model, data.num_classes, load_weights=False))
    state = start(config, data, device, resources.weights_dir)
    progress.epochs = checkpoint.load(state)
    if resources.compile:
        torch.compiler.reset()  # of the trial before in this process
        state.model.compile()
        progress.compiled = ", torch.compile"
    progress.earlier_s = sum(epoch.wall_s for epoch in progress.epochs)

    def is_paused() -> bool:
        return state.epoch >= job.until_epoch < config.epochs

    records = train(config, data, device, state=state)
    while not is_paused() and (record := next(records, None)):
        if isinstance(record, TestRecord):
            progress.test = record
            named = {"fingerprint": job.fingerprint}
            progress.weights = pack_weights(state, dataset.classes, named) if keep_weights else None
            if resources.keep_states:
                checkpoint.keep(state, progress.epochs)
            return
        progress.epochs.append(record)
        val_acc = [epoch.val_acc for epoch in progress.epochs]
        tune.report({"val_acc": val_acc, "memory_kills": memory_kills_here().model_dump()})
        if record.diverged:
            progress.status = "diverged"
            progress.reason = f"the loss was no longer a finite number in epoch {record.epoch}"
            return
        checkpoint.save(state, progress.epochs, always=is_paused())
    progress.status = "stopped"
    progress.reason = f"stopped after epoch {state.epoch} of {config.epochs} by the scheduler"


def make_record(job: Job, data_fingerprint: str, progress: Progress, started: datetime, wall_s: float) -> TrialRecord:
    """What the ledger keeps of a trial."""
    return TrialRecord(
        fingerprint=job.fingerprint,
        status=progress.status,
        reason=progress.reason,
        traceback=progress.traceback,
        config=job.config,
        data_fingerprint=data_fingerprint,
        training_version=TRAINING_VERSION,
        epochs=tuple(progress.epochs),
        test_loss=progress.test.loss if progress.test else None,
        test_acc=progress.test.acc if progress.test else None,
        num_parameters=progress.num_parameters,
        num_train=progress.num_train,
        started=started.isoformat(),
        wall_s=wall_s,
        machine=describe(default_device()) + progress.compiled,
        versions=package_versions(),
    )


def limit_memory(gpus: float) -> None:
    """Keeps a trial that shares a GPU to its share of the memory, so that it can't take its neighbours'."""
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host or the GPU had no memory left; torch's CPU allocator only says so in words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
