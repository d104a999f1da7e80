"""What it takes to train on this machine: known of workloads that ran here, and timed for those that did not."""

import os
from collections.abc import Sequence

import torch

from cifar_models.config import DataConfig, TrainConfig
from cifar_models.data import Dataset, split
from cifar_models.device import default_device, describe
from grid.execution.resources import Resources
from grid.forecast.calibration import calibrate, measure_sizes
from grid.forecast.estimate import Capacity, Estimate, Work, estimate
from grid.forecast.speeds import ImageCounts, speeds_of_trained, workload_of
from grid.records.ledger import Ledger


def forecast(configs: Sequence[TrainConfig], dataset: Dataset, ledger: Ledger, resources: Resources) -> Estimate:
    """What it takes to train some configurations in this order; times some steps of workloads that are not known yet.

    Args:
        configs: At least one.
        dataset: The images of all of them.
        ledger: What was trained before, here or elsewhere.
        resources: What each trial may use.
    """
    resources = resources.settled()
    on_gpu = bool(resources.gpus)
    works = [Work(config, resources.share(config.model.architecture)) for config in configs]
    workloads = list(dict.fromkeys(workload_of(config) for config in configs))
    images = {data: _count(dataset, data) for data in dict.fromkeys(config.data for config in configs)}
    known = speeds_of_trained(ledger.read(ledger.fingerprints()).values(), describe(default_device()), images)
    num_cpus = os.cpu_count() or 1
    at_once = max(1, min(int(num_cpus / max(share.cpus for _, share in works)), len(configs)))
    new = [workload for workload in workloads if workload not in known]
    timed = calibrate(new, works[0].share.num_threads, at_once, on_gpu=on_gpu)
    num_gpus = torch.cuda.device_count() if on_gpu else 0
    capacity = Capacity(cpus=num_cpus, gpus=num_gpus, max_trials=resources.max_trials)
    return estimate(works, images, timed | known, measure_sizes(workloads), capacity)


def _count(dataset: Dataset, data: DataConfig) -> ImageCounts:
    parts = split(dataset, data)
    return ImageCounts(train=len(parts.train_labels), val=len(parts.val_labels), test=len(parts.test_labels))
