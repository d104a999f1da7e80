"""What the trials say: summaries of arms over seeds, curves, paired differences, and the answer in one sentence.

Everything here is pure: tables in, values out. Tables are the Parquet tables as pandas frames (`grid.records.tables`).
An interval is always the two-sided 95 % t-interval for a mean over seeds, and does not exist for fewer than two seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from grid.formats import number, percent, plural, quoted, status_words
from grid.questions.study import Study

CONFIDENCE = 0.95
MEASURES = ("val_acc", "test_acc", "test_loss", "train_acc")
"""Final measures of a trial that arms are summarised by."""
CURVES = ("train_loss", "train_acc", "val_loss", "val_acc")
"""Measures of an epoch."""
STATUSES = ("ok", "stopped", "diverged", "out_of_memory", "error", "not_run")
"""Every way a planned cell can stand."""
SPREAD = ("mean", "sd", "min", "max", "low", "high")
"""What is known of a measure over seeds; `low` and `high` are the ends of the interval."""


class Interval(NamedTuple):
    """A 95 % interval, in the unit of what it is of."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much one arm is above another, seed by seed.

    Attributes:
        mean: Mean of the differences; None without pairs.
        interval: Interval of that mean; None for fewer than two pairs.
        num_pairs: Number of seeds that both arms have.
    """

    mean: float | None
    interval: Interval | None
    num_pairs: int

    @property
    def told_apart(self) -> bool:
        """Whether the interval exists and leaves zero out."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True)
class Headline:
    """The answer to a question, as far as its trials give one.

    Attributes:
        sentence: The answer in words.
        best: Index of the arm with the highest mean validation accuracy; None if no trial is ok.
        runner_up: Index of the next one; None if there is none.
        difference: Test accuracy of `best` above `runner_up`, as a fraction; None without a runner-up.
    """

    sentence: str
    best: int | None = None
    runner_up: int | None = None
    difference: Difference | None = None


def trials_of(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rows of `trials` that are this study's; one a planned cell."""
    return trials[trials["study"] == study.name]


def t_interval(values: npt.ArrayLike) -> Interval | None:
    """Interval of the mean of `(n,)` values; None for n < 2, and of no width if all are equal."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        return None
    half = float(_half_width(np.std(array, ddof=1), len(array)))
    return Interval(float(array.mean()) - half, float(array.mean()) + half)


def arm_summaries(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """One row an arm, in the study's order, also for arms of which nothing is ok.

    Columns: `arm`, `label`, `planned` (trials), one count for each of `STATUSES`, `reasons` (distinct, of trials that
    are not ok, one a line), `num_parameters`, `wall_s` (mean of ok trials), and for each of `MEASURES`, over the seeds
    that are ok, `<measure>_n` and `<measure>_<what>` with each of `SPREAD`; NaN where that does not exist.
    """
    mine = trials_of(trials, study)
    arms = pd.RangeIndex(len(study.arms), name="arm")
    counts = pd.crosstab(mine["arm"], mine["status"]).reindex(index=arms, columns=list(STATUSES), fill_value=0)
    ok = mine[mine["status"] == "ok"]
    reasons = mine[mine["status"] != "ok"].groupby("arm")["reason"].agg(lambda column: "\n".join(_distinct(column)))
    frame = pd.concat(
        [
            pd.Series([arm.label for arm in study.arms], index=arms, name="label"),
            counts.sum(axis=1).rename("planned"),
            counts,
            reasons.reindex(arms, fill_value="").rename("reasons"),
            mine.groupby("arm")["num_parameters"].max().reindex(arms).astype(float),
            ok.groupby("arm")["wall_s"].mean().reindex(arms).astype(float),
            _spread(ok, ["arm"], MEASURES).reindex(arms),
        ],
        axis=1,
    )
    return frame.reset_index()


def ranking(summaries: pd.DataFrame) -> list[int]:
    """Arms from the highest mean validation accuracy down; equal ones in the study's order, those without any last."""
    order = summaries.sort_values("val_acc_mean", ascending=False, kind="stable", na_position="last")
    return [int(arm) for arm in order["arm"]]


def curves(trials: pd.DataFrame, epochs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """One row an arm and epoch: `arm`, `epoch`, `n` and `<measure>_<mean|sd|min|max|low|high>` of each of `CURVES`.

    `n` is the number of seeds that reached the epoch with finite losses, whatever became of the trial later: a
    trial that diverged counts up to where it did.
    """
    mine = trials_of(trials, study)[["fingerprint", "arm"]]
    joined = mine.merge(epochs, on="fingerprint")
    finite = joined[np.isfinite(joined["train_loss"]) & np.isfinite(joined["val_loss"])]
    spread = _spread(finite, ["arm", "epoch"], CURVES)
    spread.insert(0, "n", finite.groupby(["arm", "epoch"]).size())
    return spread.drop(columns=[f"{measure}_n" for measure in CURVES]).reset_index()


def by_seed(trials: pd.DataFrame, study: Study, arm: int, measure: str) -> "pd.Series[float]":
    """A final measure of an arm's ok trials, indexed by seed."""
    mine = trials_of(trials, study)
    rows = mine[(mine["arm"] == arm) & (mine["status"] == "ok")]
    return rows.set_index("seed")[measure].astype(float)


def paired_difference(a: "pd.Series[float]", b: "pd.Series[float]") -> Difference:
    """How much `a` is above `b`, over the seeds that both have; each is indexed by seed."""
    differences = (a - b).dropna().to_numpy(dtype=float)
    mean = float(differences.mean()) if len(differences) else None
    return Difference(mean=mean, interval=t_interval(differences), num_pairs=len(differences))


def headline(trials: pd.DataFrame, study: Study) -> Headline:
    """Picks the arm of the highest mean validation accuracy, never by test, and says how it does on test.

    An arm of which a seed diverged is picked only if that is so for all: the mean of its other seeds would flatter it.
    """
    summaries = arm_summaries(trials, study)
    with_results = summaries[summaries["ok"] > 0]
    if with_results.empty:
        return Headline(f"No trial is ok, so there is no answer: {status_counts(summaries)}.")
    steady = with_results[with_results["diverged"] == 0]
    contenders = with_results if steady.empty else steady
    order = ranking(contenders)
    rows = summaries.to_dict("records")
    best = rows[order[0]]
    start = _so_far(summaries)
    if len(order) == 1:
        return Headline(start + _only_one(best, others_diverged=len(with_results) > 1), best=order[0])
    second = rows[order[1]]
    difference = paired_difference(*(by_seed(trials, study, arm, "test_acc") for arm in order[:2]))
    tie = ", tied with the runner-up" if best["val_acc_mean"] == second["val_acc_mean"] else ""
    compared = _compared(difference, quoted(second["label"]), len(order))
    sentence = (
        f"{start}{quoted(best['label'])} has the highest validation accuracy{tie}; "
        f"on test it is at {percent(best['test_acc_mean'])}, {compared}."
    )
    flattered = with_results[(with_results["diverged"] > 0) & (with_results["val_acc_mean"] > best["val_acc_mean"])]
    if not steady.empty and len(flattered):
        sentence += f" Left out, because some of its seeds diverged: {', '.join(map(quoted, flattered['label']))}."
    return Headline(sentence, best=order[0], runner_up=order[1], difference=difference)


def status_counts(summaries: pd.DataFrame) -> str:
    """How many trials stand how: `41 ok, 3 diverged`."""
    totals = {status: int(summaries[status].sum()) for status in STATUSES}
    return ", ".join(f"{total:,} {status_words(status)}" for status, total in totals.items() if total) or "no trials"


def _so_far(summaries: pd.DataFrame) -> str:
    planned = int(summaries["planned"].sum())
    ended = int(summaries[["ok", "stopped", "diverged"]].to_numpy().sum())
    return "" if ended == planned else f"So far, with {ended:,} of {plural(planned, 'trial')} trained: "


def _only_one(best: Mapping[Hashable, Any], *, others_diverged: bool) -> str:
    only = "is the only arm of which no seed diverged" if others_diverged else "is the only arm with results"
    interval = ""
    if best["test_acc_n"] > 1:
        ends = f"{number(best['test_acc_low'] * 100, 1)} to {number(best['test_acc_high'] * 100, 1)}"
        interval = f" (95 % interval {ends}, {plural(int(best['test_acc_n']), 'seed')})"
    where = f"on test it is at {percent(best['test_acc_mean'])}{interval}"
    return f"{quoted(best['label'])} {only}; {where}, and there is nothing to compare it with."


def _compared(difference: Difference, other: str, num_arms: int) -> str:
    """The end of the sentence: how far ahead of the runner-up, how certain that is, and whether it tells them apart."""
    if difference.mean is None:
        return f"but it shares no seed with {other}, the runner-up, so they can't be compared"
    mean, interval = difference.mean * 100, difference.interval
    closest_to_zero = min(abs(value) for value in (mean, *(100 * end for end in interval or ())))
    decimals = 2 if closest_to_zero < 0.1 else 1
    size = number(abs(mean), decimals)
    side = "level with" if float(size) == 0 else f"{size} points {'ahead of' if mean > 0 else 'behind'}"
    if interval is None:
        return (
            f"{side} {other}, the runner-up, from the one seed they share: no telling whether that is more than chance"
        )
    low, high = number(interval.low * 100, decimals), number(interval.high * 100, decimals)
    evidence = f"(95 % interval of the difference {low} to {high} points, {plural(difference.num_pairs, 'seed')})"
    if not difference.told_apart:
        return f"{side} {other}, the runner-up {evidence}: they can't be told apart"
    correction = f", not corrected for choosing among {num_arms} arms" if num_arms > 2 else ""
    return f"{side} {other}, the runner-up {evidence}: that is more than chance between seeds{correction}"


def _spread(frame: pd.DataFrame, keys: list[str], measures: Sequence[str]) -> pd.DataFrame:
    """Count and `SPREAD` of every measure, by `keys`; columns `<measure>_<what>`."""
    groups = frame.groupby(keys)
    columns: dict[str, pd.Series[Any]] = {}
    for measure in measures:
        values = groups[measure]
        n, mean, sd = values.count(), values.mean(), values.std()
        half = pd.Series(_half_width(sd.to_numpy(dtype=float), n.to_numpy(dtype=float)), index=n.index)
        spread: tuple[pd.Series[Any], ...] = (n, mean, sd, values.min(), values.max(), mean - half, mean + half)
        columns |= {f"{measure}_{what}": part for what, part in zip(("n", *SPREAD), spread, strict=True)}
    return pd.DataFrame(columns)


def _half_width(sd: npt.ArrayLike, n: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Half the width of the t-interval of a mean, from standard deviations and counts; NaN where n < 2."""
    count = np.maximum(np.asarray(n, dtype=float), 1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.asarray(sd, dtype=float) / np.sqrt(count)
    return np.asarray(half, dtype=float)


def _distinct(column: "pd.Series[str]") -> list[str]:
    return [str(value) for value in column.dropna().unique()]
