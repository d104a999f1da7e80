"""What may be shown of a study: subjects that are estimated, demands on them, cases for and against something. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

MARGIN = 0.005
"""Half a point of accuracy: arms that differ by less are equal for most purposes."""


Kind = Literal["difference", "pair", "level", "delay", "roughness", "fit"]


@dataclass(frozen=True)
class Subject:
    """What is estimated.

    Attributes:
        kind: `difference` in test accuracy of two arms, by themselves; `pair`: the same with moderated variances, where
            there are arms enough; `level` of an arm's measure; `delay` in epochs or `roughness`
            of a curve between two arms; `fit`: the share of trainings with a fit.
        arms: One arm, or two, the first above the second.
        measure: The measure, the curve or the fit.
        over: Of a level, what its interval speaks of: `seeds`, `images` or `both`.
    """

    kind: Kind
    arms: tuple[int, ...]
    measure: str = "test_acc"
    over: str = "seeds"


@dataclass(frozen=True)
class Demand:
    """That what is estimated lies between two bounds, which may be infinite."""

    subject: Subject
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Case:
    """Groups of demands, one of which has to hold as a whole; empty if there is nothing to test.

    Attributes:
        groups: The groups.
        choices: How many cases might have been made in place of this one, this one included.
    """

    groups: tuple[tuple[Demand, ...], ...] = ()
    choices: int = 1

    @property
    def demands(self) -> list[Demand]:
        """The demands of all groups."""
        return [demand for group in self.groups for demand in group]


@dataclass(frozen=True)
class Hypothesis:
    """What is to be found: for it, against it, or, of two arms, that they are equal."""

    supports: Case
    contradicts: Case
    equal: Case = Case()


def difference(first: int, second: int) -> Subject:
    """How much test accuracy `first` is above `second`."""
    return Subject("difference", (first, second))


def pair(first: int, second: int) -> Subject:
    """The same among all pairs of arms."""
    return Subject("pair", (first, second))


def pair_hypothesis(subject: Subject, margin: float = MARGIN) -> Hypothesis:
    """That the first of two arms is better than the second, worse, or equal within a margin."""
    better, worse = Case(((Demand(subject, low=0),),)), Case(((Demand(subject, high=0),),))
    return Hypothesis(better, worse, Case(((Demand(subject, -margin, margin),),)))
