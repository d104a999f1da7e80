"""Findings in words, as they stand in the answer, the table of claims and the terminal."""

import math

from grid.analysis.family import Estimate
from grid.analysis.inference import MAX_SEEDS
from grid.analysis.verdicts import ClaimVerdict
from grid.formats import number, percent, plural, quoted, signed
from grid.questions.measures import MEASURES
from grid.questions.study import Study


def verdict_in_words(verdict: ClaimVerdict, study: Study) -> str:
    """Why a claim has its verdict, in a sentence or two."""
    if verdict.why_not is not None or verdict.deciding is None:
        start = "Not comparable" if verdict.verdict == "not comparable" else "Not tested"
        return f"{start}: {verdict.why_not or 'there is nothing to compare'}."
    seen = verdict.deciding
    labels = [quoted(study.arms[arm].label) for arm in seen.subject.arms]
    assert seen.effect is not None
    corrected = "" if math.isnan(verdict.p) else f"; {p_in_words(verdict.p)} corrected"
    match seen.subject.kind:
        case "difference":
            if seen.effect.identical:
                return f"{labels[0]} and {labels[1]} predict the same for every image, on every seed."
            tie = "found equal within half a point, " if verdict.equal and verdict.verdict == "inconclusive" else ""
            return f"{labels[0]} against {labels[1]}: {tie}{difference_in_words(seen)}{corrected}."
        case "delay":
            when = f"{number(abs(seen.effect.mean), 1)} epochs {'later' if seen.effect.mean > 0 else 'earlier'}"
            what = f"{labels[0]} comes to the same {MEASURES[seen.subject.measure].words} {when} than {labels[1]}"
            return f"{what}: {_interval(seen, 1)}{corrected}."
        case "roughness":
            size = number(100 * abs(seen.effect.mean), 1)
            more = "more" if seen.effect.mean > 0 else "less"
            what = f"{labels[0]} goes back on {size} % {more} of its way in {MEASURES[seen.subject.measure].words}"
            return f"{what} than {labels[1]}: {_interval(seen, 100)}{corrected}."
        case "level":
            value = level_in_words(float(seen.effect.mean), seen.subject.measure)
            scale = 1 if MEASURES[seen.subject.measure].is_loss else 100
            what = f"{labels[0]} is at {value} {MEASURES[seen.subject.measure].words}"
            return f"{what}: {_interval(seen, scale)}{corrected}."
        case "fit":
            hits, of = round(seen.effect.mean * seen.effect.num_seeds), plural(seen.effect.num_seeds, "seed")
            return f"{labels[0]} is {seen.subject.measure} on {hits} of {of}{corrected}."


def advice_in_words(verdict: ClaimVerdict) -> str:
    """What would decide an inconclusive claim; empty if it is decided or that can't be said."""
    if verdict.verdict != "inconclusive" or verdict.deciding is None or verdict.deciding.effect is None:
        return ""
    if verdict.equal:
        return "More seeds would not matter: the difference is less than half a point."
    if verdict.deciding.effect.num_seeds < 2:
        return "Give it three seeds or more."
    if verdict.why_not is not None:
        return ""
    if verdict.seeds_needed is None:
        return f"Not even {MAX_SEEDS:,} seeds would decide it on this test set, if it is as it seems."
    return f"About {verdict.seeds_needed:,} seeds would decide it, if it is as it seems."


def difference_in_words(seen: Estimate) -> str:
    """`+0.3 points on test, 95 % interval 0.1 to 0.5, 5 seeds`, of a difference with an interval."""
    assert seen.effect is not None
    seeds = plural(seen.effect.num_seeds, "seed")
    if seen.interval is None:
        return f"{signed(100 * seen.effect.mean, 1)} points on test, {seeds}"
    numbers = [100 * value for value in (seen.effect.mean, *seen.interval)]
    decimals = 2 if any(0 < abs(value) < 0.1 for value in numbers) else 1
    low, high = (number(end, decimals) for end in numbers[1:])
    return f"{signed(numbers[0], decimals)} points on test, 95 % interval {low} to {high}, {seeds}"


def level_in_words(value: float, measure: str) -> str:
    """A measure as a person reads it."""
    return number(value, 3) if MEASURES[measure].is_loss else percent(value)


def p_in_words(p: float) -> str:
    """A p-value: `p = 0.03`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.1f}"


def _interval(seen: Estimate, scale: float) -> str:
    assert seen.effect is not None
    if seen.interval is None:
        return plural(seen.effect.num_seeds, "seed")
    decimals = 3 if seen.subject.kind == "level" and MEASURES[seen.subject.measure].is_loss else 1
    low, high = (number(scale * end, decimals) for end in seen.interval)
    return f"95 % interval {low} to {high}, {plural(seen.effect.num_seeds, 'seed')}"
