"""Findings in words, as they stand in the answer, the table of claims and the terminal."""

import math
from collections.abc import Mapping
from typing import Any

from grid.analysis.estimates import Estimate
from grid.analysis.verdicts import ClaimVerdict
from grid.formats import NOTHING, duration, number, percent, plural, quoted, signed
from grid.questions.measures import MEASURES
from grid.questions.study import Study

OVER = {
    "seeds": ", over seeds on these very images",
    "images": ", over images for these very trainings",
    "both": ", over seeds and images",
}


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
        case "difference" | "pair":
            if seen.effect.identical:
                return f"{labels[0]} and {labels[1]} predict the same for every image, on every seed."
            return f"{labels[0]} against {labels[1]}: {difference_in_words(seen)}{corrected}.{_little(verdict)}"
        case "delay":
            side = "later" if seen.effect.mean > 0 else "earlier"
            epochs = f"{number(abs(seen.effect.mean), 1)} epochs {side}"
            what = f"{labels[0]} comes to the same {MEASURES[seen.subject.measure].words} {epochs} than {labels[1]}"
            if seen.interval is None and seen.effect.num_seeds > 1:
                counted = seen.effect if seen.effect.mean > 0 else seen.effect.turned
                on = f"{float(counted.num_above):g} of {plural(seen.effect.num_seeds, 'seed')}"
                return f"{what} on average, as far as training went; {side} on {on}{corrected}."
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
            return f"{what}: {_interval(seen, scale)}{OVER[seen.subject.over]}{corrected}."
        case "fit":
            hits, of = round(seen.effect.mean * seen.effect.num_seeds), plural(seen.effect.num_seeds, "seed")
            return f"{labels[0]} is {seen.subject.measure} on {hits} of {of}{corrected}."


def _little(verdict: ClaimVerdict) -> str:
    """What a claim of a difference has to add where that was shown to be within the margin."""
    if not verdict.equal:
        return ""
    if verdict.claim.best is not None:
        return " No other value is better by half a point." if verdict.verdict == "practically equal" else ""
    return " The difference is less than half a point."


def advice_in_words(verdict: ClaimVerdict) -> str:
    """What would decide an inconclusive claim; empty if it is decided or that can't be said."""
    if verdict.verdict != "inconclusive" or verdict.deciding is None or verdict.deciding.effect is None:
        return ""
    if verdict.deciding.effect.num_seeds < 2:
        return "Give it three seeds or more."
    if verdict.why_not is not None:
        return ""
    if verdict.advice is None:
        return "How many seeds would decide it can't be known yet; a few more would tell."
    advice = verdict.advice
    trials = plural(advice.trials[1], "more trial")
    times = [duration(seconds) for seconds in advice.train_s if not math.isnan(seconds)]
    took = f", {_range(*times)} of training" if times else ""
    cost = _range(f"{advice.trials[0]:,}", trials)
    return f"About {_range(*(f'{seeds:,}' for seeds in advice.seeds))} seeds would decide it ({cost}{took})."


def _range(low: str, high: str) -> str:
    """`3 to 8 seeds` of `3` and `8 seeds`, or `8 seeds` if both are 8."""
    return high if high == low or high.startswith(f"{low} ") else f"{low} to {high}"


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


def pair_in_words(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of `comparisons.parquet` as a line of a table: who, what was found, than whom, by how much, how sure."""
    points, low, high = (
        NOTHING if row[name] is None else signed(100 * row[name], 1) for name in ("difference", "low", "high")
    )
    return (
        row["first_label"],
        {"open": "not yet shown to differ", "untested": "not tested"}.get(row["finding"], row["finding"]),
        row["second_label"],
        points,
        NOTHING if row["low"] is None else f"{low} to {high}",
        NOTHING if row["p_corrected"] is None else p_in_words(row["p_corrected"]),
        str(row["num_seeds"] or 0),
        row["method"],
    )


def effect_in_words(row: Mapping[str, Any]) -> str:
    """What the verdict of a row of `verdicts.parquet` hangs on, with its 95 % interval; empty if there is nothing."""
    scale, decimals, unit = {
        "difference": (100, 1, "points"),
        "delay": (1, 1, "epochs"),
        "roughness": (100, 1, "%"),
        "level": (1, 3, ""),  # an accuracy or a loss: the table does not say which
        "fit": (100, 0, "% of seeds"),
    }.get(row["kind"], (1, 3, ""))
    if row["estimate"] is None:
        return ""
    shown = number if row["kind"] in ("level", "fit") else signed
    value = f"{shown(scale * row['estimate'], decimals)} {unit}".rstrip()
    if row["low"] is None:
        return value
    return f"{value} ({shown(scale * row['low'], decimals)} to {shown(scale * row['high'], decimals)})"


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
