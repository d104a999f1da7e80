"""How fast trials of each kind are: what was measured of those that were trained before, and what follows for others.

A kind of trial is a `TrainConfig` in which all that does not change the time of an image has one and the same value.
Seconds are ranges, from how they come out where trials have their processors to themselves to how they come out on the
machine as it is. Neither torch nor Ray.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cifar_models.config import (
    AugmentationConfig,
    DataConfig,
    Frozen,
    ModelConfig,
    OptimizerConfig,
    PublishedConfig,
    TrainConfig,
)
from grid.records.ledger import TrialRecord


class Range(NamedTuple):
    """Between what and what a figure is."""

    low: float
    high: float

    def scaled(self, factor: float) -> "Range":
        """Both ends so many times as large."""
        return Range(self.low * factor, self.high * factor)


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
    """Seconds an image.

    Attributes:
        train_s: A sample of a training step.
        eval_s: An image that is evaluated.
    """

    train_s: Range
    eval_s: Range


def kind_of(config: TrainConfig) -> TrainConfig:
    """The kind of a trial; an image takes the same time in all of a kind."""
    augmentation, optimizer = config.augmentation, config.optimizer
    moves = augmentation.rotation > 0 or augmentation.flip > 0 or augmentation.crop_padding > 0
    return TrainConfig(
        model=_kind_of_model(config.model),
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


def _kind_of_model(model: ModelConfig) -> ModelConfig:
    if isinstance(model, PublishedConfig):  # without weights to start from, a network can't train its last layer only
        return model.model_copy(update={"weights": "none"}) if model.trainable == "all" else model
    return model.model_copy(update={"dropout": 0.1 if model.dropout > 0 else 0.0, "negative_slope": 0.01})


def num_samples(config: TrainConfig, images: ImageCounts) -> int:
    """Samples of an epoch's training steps."""
    samples = images.train * (2 if config.augmentation.mode == "added" else 1)
    return samples // config.batch_size * config.batch_size


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
    """Speeds of the kinds that were trained before, on the same images and hardware.

    Args:
        records: Trials, whatever they are of.
        machine: The hardware, as records name it.
        images: Sizes of the data that counts.
    """
    found: dict[TrainConfig, list[float]] = {}
    for record in records:
        counts = images.get(record.config.data)
        if record.machine != machine or not record.epochs or counts is None or counts.train != record.num_train:
            continue
        seconds = sum(epoch.wall_s for epoch in record.epochs) / len(record.epochs)
        per_sample = seconds / (num_samples(record.config, counts) + EVALUATION * counts.val)
        found.setdefault(kind_of(record.config), []).append(per_sample)
    return {kind: _speed(spread(seconds)) for kind, seconds in found.items()}


def _speed(train_s: Range) -> Speed:
    return Speed(train_s=train_s, eval_s=train_s.scaled(EVALUATION))


def total(ranges: Iterable[Range]) -> Range:
    """The range of a sum."""
    ranges = list(ranges)
    return Range(sum(each.low for each in ranges), sum(each.high for each in ranges))


def hull(one: Range, other: Range) -> Range:
    """The smallest range that holds both."""
    return Range(min(one.low, other.low), max(one.high, other.high))


def spread(seconds: Sequence[float]) -> Range:
    """The range that four in five of some measurements are in."""
    ordered = sorted(seconds)
    tenth = round(0.1 * (len(ordered) - 1))
    return Range(ordered[tenth], ordered[-1 - tenth])
