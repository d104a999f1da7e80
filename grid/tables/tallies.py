"""What is counted of a trial's answers to the test images: which classes it confuses, and how sure it is.

C is the number of classes, N that of images.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUM_BINS = 15
"""Bins of the probability of the predicted class, all of the same width.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599.
"""
IMAGES, CONFIDENCE, RIGHT = range(3)
"""Columns of `Tally.bins`."""


@dataclass(frozen=True)
class Tally:
    """Answers of a trial, or of several together, in numbers.

    Attributes:
        confusion: `(C, C) int64`, number of images by true (row) and predicted class (column).
        bins: `(NUM_BINS, 3) float64`: number of images in the bin, sum of their probabilities of the predicted class,
            and how many are right; None where the probability is not known.
    """

    confusion: npt.NDArray[np.int64]
    bins: npt.NDArray[np.float64] | None

    def ece(self) -> float:
        """Expected calibration error: |right - confidence| of a bin in the mean over images; NaN if it is not known."""
        if self.bins is None:
            return np.nan
        return float(np.abs(self.bins[:, RIGHT] - self.bins[:, CONFIDENCE]).sum() / self.bins[:, IMAGES].sum())


def tally(label: npt.ArrayLike, predicted: npt.ArrayLike, confidence: npt.ArrayLike | None = None) -> Tally:
    """Counts the answers of a trial.

    Args:
        label: `(N,)` true classes.
        predicted: `(N,)` predicted ones.
        confidence: `(N,)` probabilities of the predicted classes, from 0 to 1; None if they are not known.
    """
    true, given = (np.asarray(classes, dtype=np.int64) for classes in (label, predicted))
    num_classes = int(max(true.max(), given.max())) + 1
    cells = np.bincount(true * num_classes + given, minlength=num_classes**2).reshape(num_classes, num_classes)
    if confidence is None:
        return Tally(cells, None)
    sure = np.asarray(confidence, dtype=np.float64)
    place = np.clip(np.ceil(sure * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)  # ends belong to the bin below
    columns = (np.bincount(place, values, NUM_BINS) for values in (None, sure, true == given))
    return Tally(cells, np.stack(list(columns), axis=1).astype(np.float64))
