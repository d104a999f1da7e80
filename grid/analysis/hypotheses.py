"""Claims as hypotheses: what would have to be shown for each, and what against it."""

import dataclasses
from collections.abc import Sequence

from grid.analysis.cases import MARGIN, Case, Demand, Hypothesis, Subject, difference, pair_hypothesis
from grid.analysis.evidence import Evidence
from grid.questions.claims import BestClaim, Claim, LevelClaim, best_arms, claim_arms, matching_arms

MAJORITY = 0.5
"""A fit is an arm's if more than this share of trainings would have it."""


def hypothesis_of(claim: Claim, evidence: Evidence) -> Hypothesis:
    """What is to be found for a claim and against it; cases without groups if none of its arms can be compared.

    Where several arms answer to a side, the best on validation stands for it, and the case has to hold against all of
    the other side, also against those that were stopped early or failed, so that it can't; not against those that
    diverged, which are no rivals. The number of arms that might have stood there counts as choices.
    """
    if claim.best is not None:
        return _best(claim.best, evidence)
    if claim.level is not None or claim.fit is not None:
        arms = claim_arms(evidence.study, claim)
        demands = [_level(arm, claim.level) if claim.level else _fit(arm, claim) for arm in arms]
        supports = Case((tuple(demand for demand, _ in demands),)) if demands else Case()
        return Hypothesis(supports, Case(tuple((one,) for _, against in demands for one in against)))
    relation = claim.better or claim.curve
    assert relation is not None
    mine, others = (_rivals(matching_arms(evidence.study, side), evidence) for side in (relation.arm, relation.than))
    first, second = evidence.best(mine), evidence.best(others)
    if first is None or second is None or first == second:
        return Hypothesis(Case(), Case())
    if claim.better is not None:
        by = claim.better.by / 100
        supports = Case((tuple(Demand(difference(first, other), low=by) for other in others),), len(mine))
        contradicts = Case((tuple(Demand(difference(arm, second), high=by) for arm in mine),), len(others))
        single = len(mine) == len(others) == 1 and not by
        return Hypothesis(supports, contradicts, pair_hypothesis(difference(first, second)).equal if single else Case())
    assert claim.curve is not None
    change = claim.curve.change
    subject = Subject("roughness" if change == "smoother" else "delay", (first, second), claim.curve.of)
    above, below = Case(((Demand(subject, low=0),),)), Case(((Demand(subject, high=0),),))
    cases = (above, below) if change == "slower" else (below, above)
    return Hypothesis(*(dataclasses.replace(case, choices=len(mine) * len(others)) for case in cases))


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


def _level(arm: int, level: LevelClaim) -> tuple[Demand, tuple[Demand, ...]]:
    """What an arm has to reach, and what would show that it does not."""
    subject = Subject("level", (arm,), level.measure, level.judged_over)
    if level.about is not None:
        low, high = level.about - (level.within or 0), level.about + (level.within or 0)
        return Demand(subject, low, high), (Demand(subject, low=high), Demand(subject, high=low))
    if level.at_least is not None:
        return Demand(subject, low=level.at_least), (Demand(subject, high=level.at_least),)
    assert level.at_most is not None
    return Demand(subject, high=level.at_most), (Demand(subject, low=level.at_most),)


def _fit(arm: int, claim: Claim) -> tuple[Demand, tuple[Demand, ...]]:
    assert claim.fit is not None
    subject = Subject("fit", (arm,), claim.fit.label)
    return Demand(subject, low=MAJORITY), (Demand(subject, high=MAJORITY),)


def _rivals(arms: Sequence[int], evidence: Evidence) -> list[int]:
    return [arm for arm in arms if not evidence.arms[arm].diverged]
