"""What the trials say of a subject: its estimate, why there is none, and how well it meets demands. Pure."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from grid.analysis.cases import Case, Demand, Subject
from grid.analysis.evidence import Evidence
from grid.analysis.inference import Effect, Interval, interval, p_between

DIFFERENCES = ("difference", "pair")
"""Of which arms that predict the same for every image are known to be equal."""


@dataclass(frozen=True)
class Estimate:
    """What the trials say of a subject.

    Attributes:
        subject: The subject.
        effect: Mean and errors; None if there is nothing to see.
        interval: Its 95 % interval, for this alone; None below two seeds, of a fit, and where seeds do not vary.
        why_not: Why it can't be tested; None if it can.
        fingerprints: The trials it rests on.
    """

    subject: Subject
    effect: Effect | None
    interval: Interval | None
    why_not: str | None
    fingerprints: tuple[str, ...]


def p_values(evidence: Evidence, demands: Collection[Demand]) -> dict[Demand, float]:
    """The p-value of each demand, not corrected; NaN for those that can't be tested."""
    effects = {
        subject: effect
        for subject in dict.fromkeys(demand.subject for demand in demands)
        if why_not(evidence, subject) is None and (effect := effect_of(evidence, subject)) is not None
    }
    p = dict.fromkeys(demands, math.nan)
    for demand in p:
        if demand.subject.kind == "fit" and demand.subject in effects:
            p[demand] = p_of_share(demand, effects[demand.subject])
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
    effect = effect_of(evidence, subject)
    still = effect is not None and effect.seed_se == 0 and effect.image_se == 0 and subject.kind not in DIFFERENCES
    shown = interval(effect) if effect is not None and subject.kind != "fit" and not still else None
    arms = [(arm,) for arm in subject.arms] if subject.kind == "pair" else [subject.arms]
    fingerprints = tuple(f for group in arms for f in evidence.fingerprints(*group))
    return Estimate(subject, effect, shown, why_not(evidence, subject), fingerprints)


def why_not(evidence: Evidence, subject: Subject) -> str | None:
    """Why nothing can be tested of a subject; None if it can."""
    for arm in subject.arms:
        if reason := evidence.arms[arm].why_not:
            return f"{evidence.label(arm)} {reason}"
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


def effect_of(evidence: Evidence, subject: Subject) -> Effect | None:
    """The mean of a subject and its errors; None if there is nothing to see."""
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
            return evidence.measure(first, subject.measure, subject.over) if evidence.seeds(first) else None
        case "fit":
            fits = evidence.fits(first)
            return Effect(fits.count(subject.measure) / len(fits), np.nan, len(fits)) if fits else None


def p_of_share(demand: Demand, effect: Effect) -> float:
    """The exact binomial test of a share above `low` or below `high`."""
    hits = round(effect.mean * effect.num_seeds)
    if math.isfinite(demand.low):
        return float(stats.binom.sf(hits - 1, effect.num_seeds, demand.low))
    return float(stats.binom.cdf(hits, effect.num_seeds, demand.high))
