"""How fast configurations train: measured of those that were trained here before, and what follows for a whole trial.

A *workload* is a `TrainConfig` in which every field that does not change the time of an image has one fixed value, so
that configurations with the same workload take the same time. Times are ranges, from how long something takes where a
trial has its processors to itself to how long it takes on the machine as busy as it is. Neither torch nor Ray.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cifar_models.config import AugmentationConfig, DataConfig, Frozen, OptimizerConfig, PublishedConfig, TrainConfig
from grid.records.ledger import TrialRecord


class Range(NamedTuple):
    """A quantity of which only a lower and an upper end are known."""

    low: float
    high: float

    def scaled(self, factor: float) -> "Range":
        """Both ends multiplied."""
        return Range(self.low * factor, self.high * factor)

    def beside(self, other: "Range") -> "Range":
        """The smallest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


EVALUATION = 1 / 3
"""Time to evaluate an image over that to train on one: the backward pass takes about twice as long as the forward."""

TRIAL_START_S = Range(0.1, 0.7)
"""Around the epochs of a trial: Ray's part (0.1 to 0.2 s), making the network and committing (0.1 to 0.5 s)."""


class ImageCounts(Frozen):
    """How many images a trial trains on, validates on after every epoch, and is tested on at last."""

    train: int
    val: int
    test: int


class Speed(Frozen):
    """Seconds an image: of a training step, and of an evaluation."""

    train_s: Range
    eval_s: Range

    def beside(self, other: "Speed") -> "Speed":
        """The smallest ranges that hold both speeds."""
        return Speed(train_s=self.train_s.beside(other.train_s), eval_s=self.eval_s.beside(other.eval_s))


def workload_of(config: TrainConfig) -> TrainConfig:
    """The workload of a configuration."""
    model, augmentation, optimizer = config.model, config.augmentation, config.optimizer
    if not isinstance(model, PublishedConfig):
        model = model.model_copy(update={"dropout": 0.1 if model.dropout > 0 else 0.0, "negative_slope": 0.01})
    elif model.trainable == "all":  # to train the last layer alone needs weights to start from
        model = model.model_copy(update={"weights": "none"})
    moves = augmentation.rotation > 0 or augmentation.flip > 0 or augmentation.crop_padding > 0
    return TrainConfig(
        model=model,
        augmentation=AugmentationConfig(color_jitter=float(augmentation.color_jitter > 0), flip=float(moves)),
        optimizer=OptimizerConfig(
            name=optimizer.name,
            l1=1e-5 if optimizer.l1 > 0 else 0.0,
            weight_decay=1e-5 if optimizer.weight_decay > 0 else 0.0,
        ),
        batch_size=config.batch_size,
        precision=config.precision,
        channels_last=config.channels_last,
    )


def num_samples(config: TrainConfig, images: ImageCounts) -> int:
    """Images in the training steps of an epoch; the last, incomplete batch is left out."""
    return config.augmentation.num_samples(images.train) // config.batch_size * config.batch_size


def epoch_s(config: TrainConfig, images: ImageCounts, speed: Speed) -> Range:
    """Seconds of an epoch, its evaluation included."""
    return total([speed.train_s.scaled(num_samples(config, images)), speed.eval_s.scaled(images.val)])


def trial_s(config: TrainConfig, images: ImageCounts, speed: Speed) -> Range:
    """Seconds of a trial, from the end of the one before it."""
    epochs = epoch_s(config, images, speed).scaled(config.epochs)
    return total([epochs, speed.eval_s.scaled(images.test), TRIAL_START_S])


def speeds_of_trained(
    records: Iterable[TrialRecord], machine: str, images: Mapping[DataConfig, ImageCounts]
) -> dict[TrainConfig, Speed]:
    """Speed of every workload that was trained before on the same hardware and as many images.

    Args:
        records: Trials of any machine and data.
        machine: The hardware, as records name it.
        images: The data that counts, with its sizes.
    """
    found: dict[TrainConfig, list[float]] = {}
    for record in records:
        counts = images.get(record.config.data)
        if record.machine != machine or not record.epochs or counts is None or counts.train != record.num_train:
            continue
        seconds = sum(epoch.wall_s for epoch in record.epochs) / len(record.epochs)
        per_sample = seconds / (num_samples(record.config, counts) + EVALUATION * counts.val)
        found.setdefault(workload_of(record.config), []).append(per_sample)
    train_s = {workload: spread(seconds) for workload, seconds in found.items()}
    return {workload: Speed(train_s=each, eval_s=each.scaled(EVALUATION)) for workload, each in train_s.items()}


def total(ranges: Iterable[Range]) -> Range:
    """The range of a sum."""
    ranges = list(ranges)
    return Range(sum(each.low for each in ranges), sum(each.high for each in ranges))


def spread(seconds: Sequence[float]) -> Range:
    """The range that four in five of some measurements are in."""
    ordered = sorted(seconds)
    tenth = round(0.1 * (len(ordered) - 1))
    return Range(ordered[tenth], ordered[-1 - tenth])
