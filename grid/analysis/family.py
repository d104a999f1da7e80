"""All comparisons of a question as one family: hypotheses, their corrected p-values, and what was found.

A hypothesis is for or against something. Each side is a case: groups of demands on what the trials estimate, of which
one group has to hold as a whole. Its p-value is that of the group's weakest demand, times the number of groups and of
arms that might have made the case instead (Bonferroni).

**Error rates.** The chance of any false finding on a page is at most `ALPHA`, whatever is true. Three kinds of finding
have a share of it each, so that their errors sum to it: which of two is better (`BETTER`), that they are equal
(`EQUAL`), and which arms may be the best (`WINNERS`; `grid.analysis.winners`). Within the first two Holm's correction is
made over the whole family. What was claimed before the runs has half of the rate, all pairs of arms have the other half:
a claim does not pay for pairs that nobody claimed anything of.

**Two tests of a difference.** Pairs of arms are compared with moderated variances where there are arms enough
(`grid.analysis.moderation`); a claim stays on the paired test of its own arms, since a single comparison of one
wild arm errs 7 to 9 % at 2.5 % when moderated. For the same reason Holm's steps over the pairs end at `LAST_STEP`.

**Looks.** Where data is looked at repeatedly, each look has its own share of the error rate (`look_levels`), and what
was found at a look stays found, unless a later one finds the opposite: then nothing is.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from grid.analysis.evidence import Evidence
from grid.analysis.inference import (
    ALPHA,
    Array,
    Effect,
    holm,
    interval,
    look_levels,
    p_between,
    seeds_to_find,
    shares,
)
from grid.analysis.summaries import Interval
from grid.formats import quoted

MARGIN = 0.005
"""Half a point of accuracy: arms that differ by less are equal for most purposes."""

BETTER, EQUAL, WINNERS = 0.8, 0.1, 0.1
"""Shares of the error rate: for findings that one is better, that two are equal, and for who may be the best."""

LAST_STEP = 0.5
"""Holm's steps over pairs with moderated variances end where this share of them is left: at a higher level the tails of a wild
arm, which the others say nothing of, count. Where half of the pairs truly differ, equal ones are found different in 8 % of
studies of four arms without this, in 5 with it."""

MAX_SHARE_SEEDS = 100
"""More seeds than that are not asked for to settle how well an arm fits."""

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
    """

    kind: Kind
    arms: tuple[int, ...]
    measure: str = "test_acc"


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


@dataclass(frozen=True)
class Finding:
    """What was found of a hypothesis.

    Attributes:
        direction: 1 if the case for it was shown, -1 if that against it, 0 if neither.
        equal: Whether equality was shown.
        p: Corrected p-value of the nearer of the two cases; NaN if nothing could be tested.
        alpha: One-sided error rate that it has left, for what further seeds could bring.
        p_alone: That of the nearer case without any correction, at the last look.
        p_equal: Corrected p-value of equality; NaN if it was not tested.
    """

    direction: int
    equal: bool
    p: float
    alpha: float
    p_alone: float = math.nan
    p_equal: float = math.nan

    @property
    def is_open(self) -> bool:
        """Whether it was tested, and nothing was found."""
        return self.direction == 0 and not self.equal and not math.isnan(self.p)


@dataclass(frozen=True)
class Estimate:
    """What the trials say of a subject.

    Attributes:
        subject: The subject.
        effect: Mean and errors; None if there is nothing to see.
        interval: Its 95 % interval, for this alone; None below two seeds, and of a fit.
        why_not: Why it can't be tested; None if it can.
        fingerprints: The trials it rests on.
    """

    subject: Subject
    effect: Effect | None
    interval: Interval | None
    why_not: str | None
    fingerprints: tuple[str, ...]


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


def judge(
    evidence: Evidence,
    claimed: Sequence[Hypothesis],
    others: Sequence[Hypothesis],
    looks: Sequence[Sequence[int]] = (),
) -> list[Finding]:
    """Tests everything at once; findings of `claimed`, then of `others`.

    Args:
        evidence: The trials.
        claimed: What was claimed beforehand; half of the error rate is for it.
        others: All else.
        looks: Number of seeds of each arm at each look, oldest first; a single look at everything if empty.
    """
    hypotheses = [*claimed, *others]
    weights = shares([len(claimed), len(others)])
    levels = look_levels(len(looks)) if looks else np.array([ALPHA])
    found = np.zeros((3, len(hypotheses)), dtype=bool)  # for, against, equal
    p, p_alone, p_equal = np.full((3, len(hypotheses)), np.nan)
    for level, view in zip(levels, views_of(evidence, looks), strict=True):
        supports, contradicts, equal = _p_sides(view, hypotheses)
        p_alone = np.minimum(1, 2 * np.fmin(supports, contradicts))
        corrected = holm(p_alone, weights)
        if view.moderation() is not None:
            least = np.concatenate([np.zeros(len(claimed)), np.full(len(others), LAST_STEP * len(others))])
            corrected = np.maximum(corrected, least * p_alone)
        corrected = _at(BETTER * level, corrected)
        equality = _at(EQUAL * level, holm(equal, weights))
        towards = np.fmin(supports, 2) <= np.fmin(contradicts, 2)
        decided = corrected <= ALPHA
        found |= np.stack([decided & towards, decided & ~towards, equality <= ALPHA])
        p, p_equal = np.fmin(p, corrected), np.fmin(p_equal, equality)
    direction = found[0].astype(int) - found[1]
    alpha = _left(weights, (direction == 0) & ~found[2] & ~np.isnan(p), len(looks))
    return [
        Finding(int(direction[i]), bool(found[2, i]), *map(float, (p[i], alpha[i], p_alone[i], p_equal[i])))
        for i in range(len(hypotheses))
    ]


def views_of(evidence: Evidence, looks: Sequence[Sequence[int]]) -> list[Evidence]:
    """What each look saw; everything if there are none."""
    return [dataclasses.replace(evidence, num_seeds=tuple(num_seeds)) for num_seeds in looks] or [evidence]


def _p_sides(view: Evidence, hypotheses: Sequence[Hypothesis]) -> Array:
    """p-values `(3, H)` of each hypothesis: for it, against it, and of equality."""
    sides = [(one.supports, one.contradicts, one.equal) for one in hypotheses]
    met = p_values(view, [demand for cases in sides for case in cases for demand in case.demands])
    return np.array([[p_of_case(case, met) for case in cases] for cases in sides]).reshape(-1, 3).T


def _left(weights: Array, still_open: Array, num_looks: int) -> Array:
    """One-sided error rate that each hypothesis has left at the next look."""
    level = BETTER * (look_levels(num_looks + 1)[-1] if num_looks else ALPHA)
    return np.asarray(level / 2 * weights / np.maximum(weights, (weights * still_open).sum()))


def p_values(evidence: Evidence, demands: Collection[Demand]) -> dict[Demand, float]:
    """The p-value of each demand, not corrected; NaN for those that can't be tested."""
    effects = {
        subject: effect
        for subject in dict.fromkeys(demand.subject for demand in demands)
        if why_not(evidence, subject) is None and (effect := _effect(evidence, subject)) is not None
    }
    p = dict.fromkeys(demands, math.nan)
    for demand in p:
        if demand.subject.kind == "fit" and demand.subject in effects:
            p[demand] = _p_of_share(demand, effects[demand.subject])
    others = [demand for demand in p if demand.subject.kind != "fit" and demand.subject in effects]
    if others:  # all at once: one by one, a hundred pairs take seconds
        together = Effect(*np.array([effects[demand.subject] for demand in others], dtype=float).T)
        low, high = np.array([(demand.low, demand.high) for demand in others]).T
        p |= dict(zip(others, p_between(together, low, high).tolist(), strict=True))
    return p


def p_of_case(case: Case, met: Mapping[Demand, float]) -> float:
    """p-value of a case, not corrected for other hypotheses; NaN if no group can be tested as a whole."""
    groups = [[met[demand] for demand in group] for group in case.groups if group]
    tested = [max(group) for group in groups if not any(map(math.isnan, group))]
    return min(1.0, min(tested) * len(case.groups) * case.choices) if tested else math.nan


def estimate(evidence: Evidence, subject: Subject) -> Estimate:
    """What the trials say of a subject, with all seeds that the evidence shows."""
    effect = _effect(evidence, subject)
    shown = None if effect is None or subject.kind == "fit" else interval(effect)
    arms = [(arm,) for arm in subject.arms] if subject.kind == "pair" else [subject.arms]
    fingerprints = tuple(f for group in arms for f in evidence.fingerprints(*group))
    return Estimate(subject, effect, shown, why_not(evidence, subject), fingerprints)


def why_not(evidence: Evidence, subject: Subject) -> str | None:
    """Why nothing can be tested of a subject; None if it can."""
    for arm in subject.arms:
        if reason := evidence.arms[arm].why_not:
            return f"{quoted(evidence.study.arms[arm].label)} {reason}"
    if subject.kind == "pair" and evidence.moderated(*subject.arms) is not None:
        return None
    num_seeds = len(evidence.seeds(*subject.arms))
    if num_seeds == 0:
        return "they share no seed"
    if num_seeds == 1:
        return "there is one seed only, which says nothing of chance"
    if subject.kind == "fit" and not evidence.fits(subject.arms[0]):
        return "its trainings are too short to say"
    return None


def seeds_needed(evidence: Evidence, case: Case, alpha: float) -> int | None:
    """Seeds at which a case would probably be shown; None if no number would."""
    if not case.groups:
        return None
    left = alpha / len(case.groups) / case.choices
    groups = [[_seeds(evidence, demand, left) for demand in group] for group in case.groups if group]
    return min((max(n for n in group if n) for group in groups if None not in group), default=None)


def _at(level: float, p: Array) -> Array:
    """p-values of a look that has the error rate `level`, so that they compare with `ALPHA`."""
    return np.minimum(p * (ALPHA / level), 1)


def _effect(evidence: Evidence, subject: Subject) -> Effect | None:
    first, last = subject.arms[0], subject.arms[-1]
    match subject.kind:
        case "difference":
            return evidence.difference(first, last)
        case "pair":
            return evidence.moderated(first, last) or evidence.difference(first, last)
        case "delay":
            return evidence.curve_gap(first, last, subject.measure)
        case "roughness":
            return evidence.roughness_gap(first, last, subject.measure)
        case "level":
            return evidence.measure(first, subject.measure) if evidence.seeds(first) else None
        case "fit":
            fits = evidence.fits(first)
            return Effect(fits.count(subject.measure) / len(fits), np.nan, len(fits)) if fits else None


def _p_of_share(demand: Demand, effect: Effect) -> float:
    """The exact binomial test of a share above `low` or below `high`."""
    hits = round(effect.mean * effect.num_seeds)
    if math.isfinite(demand.low):
        return float(stats.binom.sf(hits - 1, effect.num_seeds, demand.low))
    return float(stats.binom.cdf(hits, effect.num_seeds, demand.high))


def _seeds(evidence: Evidence, demand: Demand, alpha: float) -> int | None:
    """Seeds at which a demand would probably be met; those there are if it is already."""
    effect = _effect(evidence, demand.subject) if why_not(evidence, demand.subject) is None else None
    if effect is None:
        return None
    if p_values(evidence, [demand])[demand] <= alpha:
        return int(effect.num_seeds)
    if demand.subject.kind != "fit":
        return seeds_to_find(effect, alpha, demand.low, demand.high)
    later = range(int(effect.num_seeds) + 1, MAX_SHARE_SEEDS)
    return next((n for n in later if _p_of_share(demand, effect._replace(num_seeds=n)) <= alpha), None)
