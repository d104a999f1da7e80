"""What the answers of several trials to the test images say together. Pure; N is the number of images, S of seeds."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from grid.tables.tallies import Tally


def together(tallies: Iterable[Tally]) -> Tally:
    """The answers of several trials on the same images; without bins if one of them has none."""
    known = list(tallies)
    bins = [each.bins for each in known if each.bins is not None]
    num_classes = max(len(each.confusion) for each in known)
    padded = (np.pad(each.confusion, (0, num_classes - len(each.confusion))) for each in known)
    return Tally(np.sum(list(padded), axis=0), np.sum(bins, axis=0) if len(bins) == len(known) else None)


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
