"""What is counted of a trial's answers to the test images: which classes it confuses, and how sure it is.

Everything here is pure. C is the number of classes, N that of images, S that of seeds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

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


def together(tallies: Iterable[Tally]) -> Tally:
    """The answers of several trials on the same images; without bins if one of them has none."""
    known = list(tallies)
    bins = [each.bins for each in known if each.bins is not None]
    num_classes = max(len(each.confusion) for each in known)
    padded = (np.pad(each.confusion, (0, num_classes - len(each.confusion))) for each in known)
    return Tally(np.sum(list(padded), axis=0), np.sum(bins, axis=0) if len(bins) == len(known) else None)


def tallies(predictions: pa.Table) -> dict[str, Tally]:
    """Counts the answers of every trial in `predictions.parquet`, by fingerprint."""
    if not predictions.num_rows:
        return {}
    keys = predictions["fingerprint"].combine_chunks().dictionary_encode()
    trial = keys.indices.to_numpy()
    order = None if (trial[1:] >= trial[:-1]).all() else np.argsort(trial, kind="stable")
    ends = np.cumsum(np.bincount(trial, minlength=len(keys.dictionary)))[:-1]
    columns = (predictions[name].to_numpy() for name in ("label", "predicted", "predicted_prob"))
    parts = [np.split(column if order is None else column[order], ends) for column in columns]
    return {
        fingerprint: tally(label, predicted, None if np.isnan(sure).any() else sure)
        for fingerprint, label, predicted, sure in zip(keys.dictionary.to_pylist(), *parts, strict=True)
    }


def arm_tallies(trials: pd.DataFrame, known: Mapping[str, Tally]) -> dict[int, list[Tally]]:
    """The tallies of each arm's trials at full budget that are ok, an entry a seed; arms without any are left out."""
    ok = trials[(trials["status"] == "ok") & (trials["stage"] == "full") & trials["fingerprint"].isin(list(known))]
    return {int(str(arm)): [known[str(f)] for f in rows["fingerprint"]] for arm, rows in ok.groupby("arm")}


def overlap(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """How two arms' right answers overlap: `(4,)` images that both, only the first, only the second, none is right on.

    Args:
        first: Right answers of one arm, `(S, N)`.
        second: Those of the other, for the same seeds and images. The result is the mean over seeds, its sum N.
    """
    cases = (first & second, first & ~second, ~first & second, ~first & ~second)
    return np.array([case.sum(axis=1).mean() for case in cases])
