"""A trial as Ray runs it: trains on a worker, and hands what came of it to the one process that writes the ledger."""

import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from cifar_models.config import TRAINING_VERSION, TrainConfig
from cifar_models.data import Dataset, split
from cifar_models.device import default_device, describe, package_versions, prepare_process
from cifar_models.models import build_model, count_parameters
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import train
from grid.records.ledger import Ledger, Status, TrialRecord

TuneConfig = dict[str, dict[str, str]]
"""What Tune hands to a trial: `{"spec": {"fingerprint": …, "config": the TrainConfig as JSON}}`."""


class Recorder:
    """The only writer of the ledger during a run. It lives on the node that has the results folder."""

    def __init__(self, root: Path) -> None:
        self.ledger = Ledger(root)

    def commit(self, record: TrialRecord, test: TestRecord | None) -> None:
        """Writes a trial; once this returns, it is finished for good."""
        self.ledger.commit(record, test)


def run_trial(
    tune_config: TuneConfig, *, dataset: Dataset, recorder: Any, num_threads: int, weights_dir: Path | None
) -> None:
    """Trains one trial and commits it, whatever becomes of it. Reports each epoch to Tune."""
    fingerprint = tune_config["spec"]["fingerprint"]
    config = TrainConfig.model_validate_json(tune_config["spec"]["config"])
    started, clock = datetime.now(UTC), time.perf_counter()
    prepare_process(num_threads)
    device = default_device()
    epochs: list[EpochRecord] = []
    test: TestRecord | None = None
    status: Status = "ok"
    reason = details = num_parameters = num_train = None
    try:
        data = split(dataset, config.data)
        num_train = len(data.train_labels)
        with torch.device("meta"):
            num_parameters = count_parameters(build_model(config.model, data.num_classes, load_weights=False))
        for record in train(config, data, device, weights_dir):
            if isinstance(record, TestRecord):
                test = record
            else:
                epochs.append(record)
                tune.report({"epoch": record.epoch, "val_acc": record.val_acc, "fingerprint": fingerprint})
        if test is None:
            status, reason = "diverged", f"the loss was no longer a finite number in epoch {len(epochs)}"
    except Exception as error:  # every planned trial ends as a row, whatever went wrong in it
        status = "out_of_memory" if is_out_of_memory(error) else "error"
        reason, details = f"{type(error).__name__}: {error}".splitlines()[0], traceback.format_exc()
    trial = TrialRecord(
        fingerprint=fingerprint,
        status=status,
        reason=reason,
        traceback=details,
        config=config,
        data_fingerprint=dataset.fingerprint,
        training_version=TRAINING_VERSION,
        epochs=tuple(epochs),
        test_loss=test.loss if test else None,
        test_acc=test.acc if test else None,
        num_parameters=num_parameters,
        num_train=num_train,
        started=started.isoformat(),
        wall_s=time.perf_counter() - clock,
        machine=describe(device),
        versions=package_versions(),
    )
    ray.get(recorder.commit.remote(trial, test))
    tune.report({"epoch": len(epochs), "status": status, "fingerprint": fingerprint})


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host or the GPU had no memory left; torch's CPU allocator only says so in words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
