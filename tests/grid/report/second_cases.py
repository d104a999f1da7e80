"""Cases for and against a claim, and how many seeds would decide it: once more, for `second_claims`."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from tests.grid.report.second_implementation import (
    Seen,
)

DOUBT, MOST_SEEDS, MOST_COUNTED = 0.05, 1000, 100


class Counted:
    """Seeds that only count for falling on one side or the other, each by chance as often."""

    def __init__(self, mean: float, above: float, below: float, num_seeds: int) -> None:
        self.mean, self.above, self.below, self.num_seeds = mean, above, below, num_seeds

    def p_between(self, low: float, high: float) -> float:
        on_this_side = self.above if math.isfinite(low) else self.below
        return float(stats.binom.sf(math.floor(on_this_side) - 1, self.num_seeds, 0.5))

    def interval(self) -> None:
        return None

    def after(self, num_seeds: int) -> "Counted":
        ratio = num_seeds / self.num_seeds
        return Counted(self.mean, self.above * ratio, self.below * ratio, num_seeds)


class Fits(Counted):
    """The same of fits: whole trainings."""

    def after(self, num_seeds: int) -> "Counted":
        hits = round(self.mean * num_seeds)
        return Counted(self.mean, hits, num_seeds - hits, num_seeds)


class Demand:
    """That what is seen of some arms lies between two numbers."""

    def __init__(self, kind: str, arms: Sequence[int], seen: Seen | Counted | None, low: float, high: float) -> None:
        self.kind, self.arms, self.seen, self.low, self.high = kind, tuple(arms), seen, low, high
        self.p = math.nan if seen is None else seen.p_between(low, high)


class Case:
    """Groups of demands, of which one has to hold as a whole."""

    def __init__(self, groups: Sequence[Sequence[Demand]], choices: int = 1) -> None:
        self.groups, self.choices = [list(group) for group in groups if group], choices
        worst = [max(d.p for d in g) for g in self.groups if not any(math.isnan(d.p) for d in g)]
        self.p = min(1.0, min(worst) * len(self.groups) * choices) if worst else math.nan

    @property
    def demands(self) -> list[Demand]:
        return [demand for group in self.groups for demand in group]


def fewest(cases: Sequence[Case], alpha: float, chance: float) -> int | None:
    """Seeds at which any of the cases would be shown."""
    found = []
    for case in cases:
        for group in case.groups:
            needed = [_seeds(d, alpha / len(case.groups) / case.choices, chance) for d in group]
            if None not in needed:
                found.append(max(n for n in needed if n))
    return min(found, default=None)


def _seeds(demand: Demand, alpha: float, chance: float) -> int | None:
    seen = demand.seen
    if seen is None:
        return None
    if demand.p <= alpha:
        return seen.num_seeds
    if demand.p > DOUBT:
        return None
    if isinstance(seen, Counted):
        for n in range(seen.num_seeds + 1, MOST_COUNTED):
            if seen.after(n).p_between(demand.low, demand.high) <= alpha:
                return n
        return None
    grid = (np.arange(20) + 0.5) / 20
    s, df = seen.num_seeds, seen.num_seeds - 1
    nodes = [(math.sqrt(df / stats.chi2.ppf(a, df)), stats.norm.ppf(b)) for a in grid for b in grid]
    spread, z = np.array(nodes).T
    se = seen.seed_se * spread
    true = seen.mean + se * z
    for n in sorted({round(1.05**k) for k in range(142)}):
        if not s < n <= MOST_SEEDS:
            continue
        a2 = np.square(stats.t.isf(alpha, n - 1) * se * math.sqrt(s / n))
        b2 = (stats.norm.isf(alpha) * seen.image_se) ** 2
        wide = np.sqrt(a2 + b2 - min(1, 2 / (n - 1)) * a2 * b2 / (a2 + b2))
        mean, sd = (s * seen.mean + (n - s) * true) / n, se * math.sqrt(s * (n - s)) / n
        reached = special.ndtr((demand.high - wide - mean) / sd) - special.ndtr((demand.low + wide - mean) / sd)
        if np.maximum(reached, 0).mean() >= chance:
            return n
    return None
