"""How well a trial fits: overfit, underfit or well fit, by stated rules on its curves on train and validation.

Everything here is pure. Train measures are taken in training mode over a whole epoch, with dropout and augmentation and
while the weights still change, validation ones after it; so train is understated, and a lead of train over
validation is more likely larger than it looks. All rules look at medians over several epochs, because one epoch
says little: the validation loss of a network with batch normalisation can double for an epoch and come back.

The thresholds are ours; what the words mean is not.

Source: Goodfellow, Bengio and Courville 2016, Deep Learning, section 5.2.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from grid.questions.measures import CURVES

if TYPE_CHECKING:  # it takes a while to import, and where nothing is new nobody needs it
    import pandas as pd

Fit = Literal["underfit", "well fit", "overfit", "too short to say"]

MIN_EPOCHS = 3
"""Shorter trainings have no trend: with two epochs, every curve is a straight line."""
WINDOW_EPOCHS = 5
"""Epochs of a window. The median of five is not moved by two that stick out. Half of a training shorter than ten."""
LONG_EPOCHS = 50
"""Longer trainings have windows of a tenth, since the lowest of many noisy windows lies too low."""
LOSS_RISE = 0.20
"""Share by which validation loss must have risen from its lowest window.

Of 1,000 simulated flat curves of 10, 30, 50 or 100 epochs each, with a train loss that falls, none reached this by
chance where epochs scatter by 5 %, and at most 84 (at 50 epochs) where they scatter by 10 %. At 20 %, up to half
do; then only the condition that train accuracy leads stands against a false alarm.
"""
GAP_POINTS = 10.0
"""Points of accuracy by which train may lead validation: four standard errors of 80 % measured on 256 images."""
RISE_POINTS = 2.0
"""Points an epoch by which train accuracy must rise to be still learning: five epochs more would bring `GAP_POINTS`."""
LOSS_FALL = 0.02
"""Share an epoch by which validation loss must fall to be still learning; less than that is lost in its scatter."""
LEARNED_ACC = 0.60
"""Accuracy that a fitted network has at least, on train or on validation.

It is above chance for any number of classes. A network below it has not learned the images it is trained on, so it
can't have learned them too well, whatever its losses do. Validation counts too, since dropout and augmentation hold
train accuracy down.
"""

DIRECTION: dict[str, int] = {"underfit": -1, "well fit": 0, "overfit": 1}

Curve = npt.NDArray[np.float64]


def diagnose(epochs: "Mapping[str, Any] | pd.DataFrame") -> Fit | None:
    """Says how well one trial fits; None if it has no epoch or a measure that is no finite number.

    Args:
        epochs: The columns of its rows of `epochs.parquet`, in any order.
    """
    order = np.argsort(np.asarray(epochs["epoch"]), kind="stable")
    curves = {name: np.asarray(epochs[name], dtype=float)[order] for name in CURVES}
    num_epochs = len(order)
    if not num_epochs or not all(np.isfinite(curve).all() for curve in curves.values()):
        return None
    if num_epochs < MIN_EPOCHS:
        return "too short to say"
    size = window_size(num_epochs)
    late = {name: float(np.median(curve[-size:])) for name, curve in curves.items()}
    if max(late["train_acc"], late["val_acc"]) < LEARNED_ACC:
        return "underfit"
    lead = late["train_acc"] - late["val_acc"]
    learning = still_learning(curves["train_acc"][-size:], curves["val_loss"][-size:])
    if lead > 0 and turned_up(curves["train_loss"], curves["val_loss"], size):
        return "overfit"
    if lead * 100 > GAP_POINTS and not learning:
        return "overfit"
    return "underfit" if learning else "well fit"


def window_size(num_epochs: int) -> int:
    """Epochs that a median is taken over, for a training of so many."""
    if num_epochs > LONG_EPOCHS:
        return num_epochs * WINDOW_EPOCHS // LONG_EPOCHS
    return min(WINDOW_EPOCHS, math.ceil(num_epochs / 2))


def turned_up(train_loss: Curve, val_loss: Curve, size: int) -> bool:
    """Whether validation loss rose by more than `LOSS_RISE` from its lowest window, while train loss fell."""
    train, val = (np.median(np.lib.stride_tricks.sliding_window_view(c, size), axis=1) for c in (train_loss, val_loss))
    lowest = len(val) - 1 - int(np.argmin(val[::-1]))  # the last of equal ones
    return bool(val[-1] > (1 + LOSS_RISE) * val[lowest] and train[-1] < train[lowest])


def still_learning(train_acc: Curve, val_loss: Curve) -> bool:
    """Whether a window goes up on train by `RISE_POINTS` an epoch and its validation loss down by `LOSS_FALL`."""
    rise, fall = slope(train_acc) * 100, -slope(val_loss)
    return rise > RISE_POINTS and fall > LOSS_FALL * float(np.median(val_loss))


def slope(curve: Curve) -> float:
    """Change an epoch: the median over all pairs of epochs, which a few that stick out do not move.

    Source: Theil 1950; Sen 1968, Journal of the American Statistical Association 63.
    """
    first, second = np.triu_indices(len(curve), 1)
    return float(np.median((curve[second] - curve[first]) / (second - first)))


@dataclass(frozen=True)
class ArmFit:
    """How well an arm fits, over its seeds.

    Attributes:
        counts: Number of seeds of each fit, the most frequent first; empty if no seed has one.
    """

    counts: tuple[tuple[str, int], ...]

    @property
    def label(self) -> str | None:
        """The most frequent fit, `mixed` if several are; None if no seed has one."""
        if not self.counts:
            return None
        tied = len(self.counts) > 1 and self.counts[0][1] == self.counts[1][1]
        return "mixed" if tied else self.counts[0][0]

    @property
    def text(self) -> str:
        """The label and how many seeds it is of: `overfit 2 of 3`; empty if no seed has one."""
        if self.label in (None, "mixed"):
            return self.label or ""
        return f"{self.label} {self.counts[0][1]} of {sum(amount for _, amount in self.counts)}"

    @property
    def others(self) -> tuple[tuple[str, int], ...]:
        """What the text leaves out."""
        return self.counts if self.label == "mixed" else self.counts[1:]

    @property
    def position(self) -> float | None:
        """From -1, where all seeds are underfit, to 1, where all are overfit; None if none can be told."""
        told = [(DIRECTION[name], amount) for name, amount in self.counts if name in DIRECTION]
        total = sum(amount for _, amount in told)
        return sum(where * amount for where, amount in told) / total if total else None


def arm_fit(fits: Iterable[str]) -> ArmFit:
    """Counts the fits of an arm's seeds; those that have none are left out by the caller."""
    counts = Counter(fits)
    return ArmFit(tuple(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))))


def rules() -> list[tuple[str, str]]:
    """Each fit and when it is given, in words; `diagnose` in prose, with the constants of this file."""
    return [
        (
            "underfit",
            f"neither train nor validation accuracy reaches {LEARNED_ACC * 100:g} %; or it is not overfit and still "
            f"learning, that is, train accuracy rises by more than {RISE_POINTS:g} points an epoch while validation "
            f"loss falls by more than {LOSS_FALL * 100:g} %.",
        ),
        (
            "overfit",
            f"else, validation loss is more than {LOSS_RISE * 100:g} % above its lowest, though train loss went on "
            "falling and train accuracy is the higher one; or train accuracy is more than "
            f"{GAP_POINTS:g} points above validation accuracy in a training that is not still learning.",
        ),
        ("well fit", "neither; it does not say that no other setting fits better."),
        ("too short to say", f"fewer than {MIN_EPOCHS} epochs."),
    ]


def window_in_words() -> str:
    """What the rules look at."""
    return (
        f"medians over the last {WINDOW_EPOCHS} epochs (half of a training shorter than {2 * WINDOW_EPOCHS}, "
        f"a tenth of one longer than {LONG_EPOCHS})"
    )
