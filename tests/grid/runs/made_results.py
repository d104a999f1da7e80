"""A session whose trials are not trained: how well each does is made up, and so known on every machine."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from cifar_models.config import TrainConfig
from cifar_models.data import Dataset
from cifar_models.records import EpochRecord, TestRecord
from grid.execution import launch, nodes, ray_cluster
from grid.execution.progress import ProgressDisplay
from grid.execution.resources import Resources
from grid.execution.schedule import Schedule
from grid.records.ledger import Ledger, TrialRecord
from grid.records.lock import Fence

NUM_TEST = 1000


def make_up_results(monkeypatch: pytest.MonkeyPatch, accuracy: Callable[[TrainConfig], float]) -> None:
    """Has every session take what a function says for the accuracy, on validation and test, of a trial."""

    def train_all(
        schedule: Schedule,
        dataset: Dataset,
        ledger: Ledger,
        resources: Resources,
        display: ProgressDisplay,
        *,
        keep_weights: bool = False,
        fence: Fence | None = None,
    ) -> bool:
        while not schedule.is_done() and (job := schedule.next_job()):
            record, test = made_trial(job.fingerprint, job.config, dataset.fingerprint, accuracy(job.config))
            ledger.commit(record, test)
            schedule.job_ended(job.fingerprint, record.status, [epoch.val_acc for epoch in record.epochs])
        return True

    @contextmanager
    def no_cluster() -> Iterator[None]:
        yield

    monkeypatch.setattr(launch, "train_all", train_all)
    monkeypatch.setattr(nodes, "node_facts", lambda: [])
    monkeypatch.setattr(ray_cluster, "ray_cluster", no_cluster)


def made_trial(
    fingerprint: str, config: TrainConfig, data_fingerprint: str, acc: float
) -> tuple[TrialRecord, TestRecord]:
    """A trial that came to an accuracy in its first epoch and stayed there."""
    label = np.arange(NUM_TEST, dtype=np.uint8) % 10
    right = np.arange(NUM_TEST) < round(acc * NUM_TEST)
    test = TestRecord(
        loss=math.log(2),
        acc=float(right.mean()),
        label=label,
        predicted=np.where(right, label, (label + 1) % 10).astype(np.uint8),
        true_prob=np.full(NUM_TEST, 0.5, np.float16),
        predicted_prob=np.full(NUM_TEST, 0.5, np.float16),
    )
    epochs = tuple(
        EpochRecord(
            epoch=epoch, lr=config.optimizer.lr, train_loss=0.7, train_acc=acc, val_loss=0.7, val_acc=acc, wall_s=1
        )
        for epoch in range(1, config.epochs + 1)
    )
    record = TrialRecord(
        fingerprint=fingerprint, status="ok", config=config, data_fingerprint=data_fingerprint, training_version=1,
        epochs=epochs, test_loss=test.loss, test_acc=test.acc, num_parameters=1000, num_train=256,
        started="2025-01-02T03:04:05+00:00", wall_s=1.0, machine="None",
    )  # fmt: skip
    return record, test
