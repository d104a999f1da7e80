"""Which arms may be the best: a set that holds the truly best one with 95 % confidence. Pure.

An arm leaves the set if some other arm is above it by more than chance explains, by comparisons with the best: each
arm is compared with the other A - 1 only, not all pairs with each other. If the truly best arm is to be lost, one of
its own A - 1 comparisons has to err, and nothing else matters (Bonferroni over these). So the set is smaller than what
all pairs leave over, and what it leaves out is not "shown to be worse" among all pairs: where nothing differs, it
drops some arm more often than findings may err. It has its own share of the error rate (`WINNERS`), and each look its
share of that.

An arm that was found worse than another among all pairs is not in the set either; the two shares together are below
5 %.

Source: Hsu 1984, Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best, Annals of
Statistics 12.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from grid.analysis.cases import Demand, pair
from grid.analysis.estimates import p_values
from grid.analysis.evidence import Evidence
from grid.analysis.family import WINNERS, Finding, Looks

Pairs = Sequence[tuple[int, int]]


def may_be_best(
    evidence: Evidence, pairs: Pairs, found: Mapping[tuple[int, int], Finding], looks: Looks | None = None
) -> frozenset[int]:
    """The arms of which one is the best with 95 % confidence.

    Args:
        evidence: The trials.
        pairs: The comparisons that are made.
        found: What was found of each, among all of them.
        looks: When the data was looked at, as for `judge`.

    Returns:
        The set; empty if no two arms can be compared.
    """
    out = {arms[0 if finding.direction < 0 else 1] for arms, finding in found.items() if finding.direction}
    compared: set[int] = set()
    for level, view in (looks or Looks()).views(evidence):
        p = _p_of_being_below(view, pairs)
        compared |= p.keys()
        out |= {arm for arm, values in p.items() if min(values) * len(values) <= WINNERS * level}
    return frozenset(compared - out or compared)


def _p_of_being_below(view: Evidence, pairs: Pairs) -> dict[int, list[float]]:
    """For each arm, the p-values that it is below each of the others that it can be compared with."""
    above = {arms: Demand(pair(*arms), low=0) for arms in pairs}
    below = {arms: Demand(pair(*arms), high=0) for arms in pairs}
    met = p_values(view, [*above.values(), *below.values()])
    p: dict[int, list[float]] = {}
    for first, second in pairs:
        for arm, demand in ((first, below[first, second]), (second, above[first, second])):
            if not np.isnan(met[demand]):
                p.setdefault(arm, []).append(met[demand])
    return p
