"""What training yields: a record an epoch, and with the last one the test set's measures. No torch here."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict


class EpochRecord(BaseModel):
    """What was measured in one epoch. Accuracies are fractions; losses are mean cross-entropies in nats.

    Attributes:
        epoch: Number of the epoch, from 1.
        lr: Learning rate of its last step.
        train_loss: Mean over the epoch's steps, in training mode, without any penalty; NaN or infinite if it diverged.
        train_acc: Share of right answers over the epoch's steps, in training mode.
        val_loss: On the validation images after the epoch, in evaluation mode.
        val_acc: On the validation images after the epoch, in evaluation mode.
        wall_s: Seconds the epoch took, evaluation included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    epoch: int
    lr: float
    train_loss: float
    train_acc: float
    val_loss: float
    val_acc: float
    wall_s: float

    @property
    def diverged(self) -> bool:
        """Whether a loss is no longer a finite number."""
        return not (np.isfinite(self.train_loss) and np.isfinite(self.val_loss))


@dataclass(frozen=True)
class TestRecord:
    """What the trained model says of each of the N test images, in the test set's order.

    Attributes:
        loss: Mean cross-entropy, in nats.
        acc: Share of right answers.
        label: `(N,) uint8`, the true class.
        predicted: `(N,) uint8`, the class with the highest output.
        true_prob: `(N,) float16`, the probability given to the true class.
        predicted_prob: `(N,) float16`, the probability given to the predicted class.
    """

    __test__ = False  # not a test, whatever pytest thinks of the name

    loss: float
    acc: float
    label: npt.NDArray[np.uint8]
    predicted: npt.NDArray[np.uint8]
    true_prob: npt.NDArray[np.float16]
    predicted_prob: npt.NDArray[np.float16]
