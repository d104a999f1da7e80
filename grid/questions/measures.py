"""What is measured of a trial: a row a measure, with all that follows from it."""

from dataclasses import dataclass
from typing import Literal

CurveName = Literal["train_acc", "val_acc", "train_loss", "val_loss"]
"""Measures of every epoch."""

FinalName = Literal["val_acc", "test_acc", "test_loss"]
"""Measures after the last epoch that a claim can be about."""


@dataclass(frozen=True)
class Measure:
    """A measure: a fraction if it is an accuracy, a mean cross-entropy in nats if it is a loss.

    Attributes:
        part: The images that it is of, in words.
        quantity: What it is.
        is_curve: Whether it is measured in every epoch.
        is_summarised: Whether arms are summarised by it, as it is after the last epoch.
    """

    part: Literal["train", "validation", "test"]
    quantity: Literal["accuracy", "loss"]
    is_curve: bool = False
    is_summarised: bool = False

    @property
    def words(self) -> str:
        """What it is called: `validation accuracy`."""
        return f"{self.part} {self.quantity}"

    @property
    def is_loss(self) -> bool:
        """Whether less is better."""
        return self.quantity == "loss"


MEASURES: dict[str, Measure] = {
    "train_loss": Measure("train", "loss", is_curve=True),
    "train_acc": Measure("train", "accuracy", is_curve=True, is_summarised=True),
    "val_loss": Measure("validation", "loss", is_curve=True),
    "val_acc": Measure("validation", "accuracy", is_curve=True, is_summarised=True),
    "test_loss": Measure("test", "loss", is_summarised=True),
    "test_acc": Measure("test", "accuracy", is_summarised=True),
}
"""Every measure, by its column in the tables."""

CURVES = tuple(name for name, measure in MEASURES.items() if measure.is_curve)
