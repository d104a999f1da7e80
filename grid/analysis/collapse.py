"""Seeds that collapsed: trainings that ended far below the others of their arm. Pure.

A rare collapse is what no method can count on from a few seeds: an arm that loses 5 points in one of 15 seeds looks
calm in most samples of three, and false findings against it are 12 to 24 % with two arms, however they are tested. So
it is named.

**The rule.** The lowest test accuracy of an arm collapsed if it is at least `MIN_GAP` below the next one, and that gap
is a larger share of the whole range of the arm's seeds than chance gives normal values in 95 % of samples (Dixon's Q).

Source: Dixon 1950, Analysis of Extreme Values, Annals of Mathematical Statistics 21; critical values of Rorabacher
1991, Analytical Chemistry 63 (r10, one-sided 95 %).
"""

from typing import NamedTuple

import numpy as np

from grid.analysis.evidence import Evidence

MIN_GAP = 0.03
"""Three points of accuracy."""
CRITICAL = (
    *(0.941, 0.765, 0.642, 0.560, 0.507, 0.468, 0.437, 0.412, 0.392, 0.376, 0.361, 0.349, 0.338, 0.329, 0.320, 0.313),
    *(0.306, 0.300, 0.295, 0.290, 0.285, 0.281, 0.277, 0.273, 0.269, 0.266, 0.263, 0.260),
)
"""Of 3, 4, … 30 seeds; more have the last one."""


class Collapse(NamedTuple):
    """A seed that collapsed: its arm, the seed, its test accuracy, and the lowest of the arm's others."""

    arm: int
    seed: int
    acc: float
    next_acc: float


def collapses(evidence: Evidence) -> list[Collapse]:
    """The collapsed seeds of the arms that can be compared, at most one an arm."""
    found = []
    for arm in evidence.contest():
        acc = evidence.arms[arm].trials.loc[evidence.seeds(arm), "test_acc"].astype(float).sort_values()
        values = acc.to_numpy()
        if len(values) >= 3 and is_collapsed(values):
            found.append(Collapse(arm, int(acc.index[0]), float(values[0]), float(values[1])))
    return found


def is_collapsed(rising: np.ndarray) -> bool:
    """Whether the first of three or more accuracies, the lowest first, collapsed."""
    gap, reach = rising[1] - rising[0], rising[-1] - rising[0]
    return bool(gap >= MIN_GAP and gap > CRITICAL[min(len(rising) - 3, len(CRITICAL) - 1)] * reach)
