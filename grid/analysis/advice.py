"""How many more seeds would decide what is open, and what they cost. Pure.

**A range.** Of a difference that three seeds show, size and spread are hardly known, so one number of seeds can't be
promised. What is said is a range: at the first number a decision is as likely as not, at the second it has a chance of
`CHANCES[1]`, averaged over what the effect and the spread may be after what was seen (assurance): the effect by
Student's distribution about its mean, the spread by the chi-square distribution of its variance. Seeds that are there
stay and count. Where the effect is not yet seen at `DOUBT`, one-sided, no number is named: it can't be known yet. So
where nothing differs, one is named in less than `2 * DOUBT` of studies (`make bench`).

**What was tried** for one number, where a difference is as large as the spread and three seeds left it open: as if all
were as it seems, it is decided at that number in 55 to 75 %; with the effect at its lower 5 % and the spread at its
upper 20 %, in 99 %, but the number is 40 to 170 where 10 to 20 are enough, and named in a tenth of such studies.

Source: Spiegelhalter and Freedman 1986, A predictive approach to selecting the size of a clinical trial, Statistics in
Medicine 5; O'Hagan, Stevens and Campbell 2005, Assurance in clinical trial design, Pharmaceutical Statistics 4.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from grid.analysis.cases import Case, Demand, Hypothesis
from grid.analysis.estimates import effect_of, p_of_share, p_values, why_not
from grid.analysis.evidence import Evidence
from grid.analysis.family import Finding
from grid.analysis.inference import Effect, half_width, p_between

CHANCES = (0.5, 0.9)
"""Chances of a decision at both ends of a range."""
DOUBT = 0.05
"""No number is named while chance alone explains what is seen with this probability or more."""
MAX_SEEDS = 1000
"""More seeds than that are as good as never."""
STEPS = np.unique(np.round(1.05 ** np.arange(142)))
"""Numbers of seeds that are tried: all up to 20, then about 5 % apart, up to `MAX_SEEDS`."""
MAX_COUNTED_SEEDS = 100
"""The same where seeds are counted, as of fits."""
NUM_NODES = 20
"""Nodes of an integral over what the effect may be, and as many over the spread."""


@dataclass(frozen=True)
class Advice:
    """What would decide something open, each a range.

    Attributes:
        seeds: Seeds of an arm.
        trials: Trials that this adds.
        train_s: Seconds of training that these take; NaN if no trial says.
    """

    seeds: tuple[int, int]
    trials: tuple[int, int]
    train_s: tuple[float, float]


@dataclass(frozen=True)
class Way:
    """What would settle something open, in one of the ways in which it can be settled.

    Attributes:
        seeds: Seeds of an arm.
        arms: The arms that lack some of them: those of comparisons that are not clear yet.
    """

    seeds: int
    arms: frozenset[int]


def advise(evidence: Evidence, hypothesis: Hypothesis, finding: Finding) -> Advice | None:
    """What would decide a hypothesis; None if it is decided, or that can't be known yet."""
    low, high = (cheapest_way(evidence, hypothesis, finding, chance, DOUBT) for chance in CHANCES)
    if low is None or high is None:
        return None
    ends = tuple({arm: max(way.seeds - len(evidence.seeds(arm)), 0) for arm in way.arms} for way in (low, high))
    fewest, most = sorted(sum(added.values()) for added in ends)
    shortest, longest = sorted(sum(n * evidence.train_s(arm) for arm, n in added.items()) for added in ends)
    return Advice((low.seeds, high.seeds), (fewest, most), (shortest, longest))


def cheapest_way(
    evidence: Evidence, hypothesis: Hypothesis, finding: Finding, chance: float = CHANCES[0], doubt: float = 1.0
) -> Way | None:
    """The way to settle what is open that takes the fewest seeds; None if nothing is open, or no number is known.

    Args:
        evidence: The trials.
        hypothesis: What is open.
        finding: What was found of it.
        chance: Chance of a decision.
        doubt: No number is known while the p-value of what would be shown, for it alone, is above this.
    """
    cases = (hypothesis.supports, hypothesis.contradicts, hypothesis.equal) if finding.is_open else ()
    ways = (way for case in cases for way in _ways(evidence, case, finding.alpha, chance, doubt))
    return min(ways, key=lambda way: way.seeds, default=None)


def seeds_to_find(effect: Effect, alpha: float, low: float, high: float, chance: float) -> int | None:
    """Fewest seeds that would show that the effect lies between `low` and `high`.

    Args:
        effect: What is seen.
        alpha: One-sided error rate that the test has left.
        low: Lower bound.
        high: Upper bound.
        chance: Chance of that, averaged over what the effect and its spread may be, at `NUM_NODES` quantiles of each.

    Returns:
        The number; None if more than `MAX_SEEDS` would be needed, as where it seems to lie elsewhere or the test set is
        too small to tell.
    """
    seen = effect.num_seeds
    seeds = STEPS[(max(seen, 2) < STEPS) & (STEPS <= MAX_SEEDS)][:, None]
    middles = (np.arange(NUM_NODES) + 0.5) / NUM_NODES
    spread, effects = (part.ravel() for part in np.meshgrid(middles, stats.norm.ppf(middles)))
    larger = np.sqrt(effect.seeds_df / stats.chi2.ppf(spread, effect.seeds_df))  # how much, than it seems; (nodes,)
    true_mean = effect.mean + larger * effect.seed_se * effects
    later_se = effect.seed_se * larger * np.sqrt(seen / seeds)
    later = Effect(effect.mean, later_se, seeds, effect.image_se, effect.seeds_df + seeds - seen)
    wide = half_width(later, min(2 * alpha, 1.0))
    expected = (seen * effect.mean + (seeds - seen) * true_mean) / seeds
    varies = larger * effect.seed_se * np.sqrt(seen * (seeds - seen)) / seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = special.ndtr((high - wide - expected) / varies) - special.ndtr((low + wide - expected) / varies)
    enough = np.maximum(shown, 0).mean(axis=1) >= chance
    return int(seeds[np.argmax(enough), 0]) if enough.any() else None


def _ways(evidence: Evidence, case: Case, alpha: float, chance: float, doubt: float) -> list[Way]:
    """How a case would be shown: all demands of one of its groups; without those groups of which no number is known."""
    left = alpha / max(len(case.groups), 1) / case.choices
    ways = []
    for group in filter(None, case.groups):
        needed = [(demand.subject, _seeds(evidence, demand, left, chance, doubt)) for demand in group]
        known = [(subject, number) for subject, number in needed if number is not None]
        if len(known) == len(group):
            lacking = [subject for subject, number in known if number > len(evidence.seeds(*subject.arms))]
            arms = frozenset(arm for subject in lacking or [subject for subject, _ in known] for arm in subject.arms)
            ways.append(Way(max(number for _, number in known), arms))
    return ways


def _seeds(evidence: Evidence, demand: Demand, alpha: float, chance: float, doubt: float) -> int | None:
    """Seeds at which a demand would be met; those there are if it is already."""
    effect = effect_of(evidence, demand.subject) if why_not(evidence, demand.subject) is None else None
    if effect is None:
        return None
    p = p_values(evidence, [demand])[demand]
    if p <= alpha:
        return int(effect.num_seeds)
    if not p <= doubt:
        return None
    if demand.subject.kind == "fit" or not math.isnan(effect.num_above):
        return _seeds_counted(effect, demand, alpha)
    return seeds_to_find(effect, alpha, demand.low, demand.high, chance)


def _seeds_counted(effect: Effect, demand: Demand, alpha: float) -> int | None:
    """The same where seeds are counted, if the same share of them falls on either side later."""
    share = effect.num_above / effect.num_seeds
    for seeds in range(int(effect.num_seeds) + 1, MAX_COUNTED_SEEDS):
        later = effect._replace(num_seeds=seeds, num_above=share * seeds)
        is_fit = demand.subject.kind == "fit"
        if (p_of_share(demand, later) if is_fit else p_between(later, demand.low, demand.high)) <= alpha:
            return seeds
    return None
