"""Claims as hypotheses: what would have to be shown for each, and what against it."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from grid.analysis.cases import MARGIN, Case, Demand, Hypothesis, Subject, difference, pair_hypothesis
from grid.analysis.evidence import Evidence
from grid.questions.claims import (
    BestClaim,
    BetterClaim,
    Claim,
    CurveClaim,
    FitClaim,
    LevelClaim,
    OfTwoArms,
    Statement,
)
from grid.questions.study import arms_of, best_arms, matching_arms

MAJORITY = 0.5
"""A fit is an arm's if more than this share of trainings would have it."""


def hypothesis_of(claim: Claim, evidence: Evidence) -> Hypothesis:
    """What is to be found for a claim and against it; cases without groups if none of its arms can be compared.

    Where several arms answer to a side, the best on validation stands for it, and the case has to hold against all of
    the other side, also against those that were stopped early or failed, so that it can't; not against those that
    diverged, which are no rivals. The number of arms that might have stood there counts as choices.
    """
    return HYPOTHESES[type(claim.statement)](claim.statement, evidence)


def _better(claim: BetterClaim, evidence: Evidence) -> Hypothesis:
    mine, others, sides = _sides(claim, evidence)
    if sides is None:
        return Hypothesis(Case(), Case())
    first, second = sides
    by = claim.by / 100
    supports = Case((tuple(Demand(difference(first, other), low=by) for other in others),), len(mine))
    contradicts = Case((tuple(Demand(difference(arm, second), high=by) for arm in mine),), len(others))
    single = len(mine) == len(others) == 1 and not by
    return Hypothesis(supports, contradicts, pair_hypothesis(difference(first, second)).equal if single else Case())


def _curve(claim: CurveClaim, evidence: Evidence) -> Hypothesis:
    mine, others, sides = _sides(claim, evidence)
    if sides is None:
        return Hypothesis(Case(), Case())
    subject = Subject("roughness" if claim.change == "smoother" else "delay", sides, claim.of)
    above, below = Case(((Demand(subject, low=0),),)), Case(((Demand(subject, high=0),),))
    cases = (above, below) if claim.change == "slower" else (below, above)
    return Hypothesis(*(dataclasses.replace(case, choices=len(mine) * len(others)) for case in cases))


def _sides(claim: OfTwoArms, evidence: Evidence) -> tuple[list[int], list[int], tuple[int, int] | None]:
    """The arms of either side, and the two that stand for them; None if two of them can't be compared."""
    mine, others = (_rivals(matching_arms(evidence.study, side), evidence) for side in (claim.arm, claim.than))
    first, second = evidence.best(mine), evidence.best(others)
    return mine, others, None if first is None or second is None or first == second else (first, second)


def _best(claim: BestClaim, evidence: Evidence) -> Hypothesis:
    """Better than every other value; against it, that some other one is better; equal, that none is by a margin."""
    mine, others = (_rivals(arms, evidence) for arms in best_arms(evidence.study, claim))
    first = evidence.best(mine)
    if first is None or not others:
        return Hypothesis(Case(), Case())
    supports, near = (
        Case((tuple(Demand(difference(first, other), low=low) for other in others),), len(mine))
        for low in (0.0, -MARGIN)
    )
    worse = (tuple(Demand(difference(arm, other), high=0) for arm in mine) for other in others)
    return Hypothesis(supports, Case(tuple(worse)), near)


def _level(claim: LevelClaim, evidence: Evidence) -> Hypothesis:
    return _of_each(_level_of(arm, claim) for arm in arms_of(evidence.study, claim))


def _level_of(arm: int, level: LevelClaim) -> tuple[Demand, tuple[Demand, ...]]:
    """What an arm has to reach, and what would show that it does not."""
    subject = Subject("level", (arm,), level.measure, level.judged_over)
    if level.about is not None:
        low, high = level.about - (level.within or 0), level.about + (level.within or 0)
        return Demand(subject, low, high), (Demand(subject, low=high), Demand(subject, high=low))
    if level.at_least is not None:
        return Demand(subject, low=level.at_least), (Demand(subject, high=level.at_least),)
    assert level.at_most is not None
    return Demand(subject, high=level.at_most), (Demand(subject, low=level.at_most),)


def _fit(claim: FitClaim, evidence: Evidence) -> Hypothesis:
    subjects = [Subject("fit", (arm,), claim.label) for arm in arms_of(evidence.study, claim)]
    return _of_each((Demand(of, low=MAJORITY), (Demand(of, high=MAJORITY),)) for of in subjects)


def _of_each(demands: Iterable[tuple[Demand, tuple[Demand, ...]]]) -> Hypothesis:
    """Of each arm what it has to reach, and what would show that it does not: all have to, and one is enough."""
    demands = list(demands)
    supports = Case((tuple(demand for demand, _ in demands),)) if demands else Case()
    return Hypothesis(supports, Case(tuple((one,) for _, against in demands for one in against)))


def _rivals(arms: Sequence[int], evidence: Evidence) -> list[int]:
    return [arm for arm in arms if not evidence.arms[arm].diverged]


HYPOTHESES: dict[type[Statement], Callable[[Any, Evidence], Hypothesis]] = {
    BestClaim: _best,
    BetterClaim: _better,
    FitClaim: _fit,
    LevelClaim: _level,
    CurveClaim: _curve,
}
"""How each kind of claims is tested."""
