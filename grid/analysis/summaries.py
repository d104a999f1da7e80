"""Summaries of arms over seeds, and curves.

Everything here is pure: tables in, values out. Tables are the Parquet tables as pandas frames (`grid.tables.tables`).
An interval is always the two-sided 95 % t-interval for a mean over seeds, and does not exist for fewer than two seeds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from grid.analysis.inference import Effect, half_width
from grid.questions.measures import CURVES, MEASURES
from grid.questions.study import Study
from grid.records.status import STATUSES

SUMMARISED = tuple(name for name, measure in MEASURES.items() if measure.is_summarised)
"""Final measures of a trial that arms are summarised by."""
SPREAD = ("mean", "sd", "min", "max", "low", "high")
"""What is known of a measure over seeds; `low` and `high` are the ends of the interval."""


def trials_of(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rows of `trials` that are this study's; one a planned cell."""
    return trials[trials["study"] == study.name]


def shown_trials(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rows that stand for each arm: its trials at full budget or, of an arm that has none, its screening."""
    mine = trials_of(trials, study)
    full = mine["stage"] == "full"
    return mine[full | ~mine["arm"].isin(mine.loc[full, "arm"])]


def arm_summaries(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """One row an arm, in the study's order, also for arms of which nothing is ok.

    Columns: `arm`, `label`, `planned` (trials), one count for each of `STATUSES`, `reasons` (distinct, of trials that
    are not ok, one a line), `num_parameters`, `wall_s` (mean of ok trials), and for each of `SUMMARISED`, over the
    seeds that are ok, `<measure>_n` and `<measure>_<what>` with each of `SPREAD`; NaN where that does not exist.
    """
    mine = shown_trials(trials, study)
    arms = pd.RangeIndex(len(study.arms), name="arm")
    counts = pd.crosstab(mine["arm"], mine["status"]).reindex(index=arms, columns=list(STATUSES), fill_value=0)
    ok = mine[(mine["status"] == "ok") & (mine["stage"] == "full")]
    reasons = mine[mine["status"] != "ok"].groupby("arm")["reason"].agg(lambda column: "\n".join(_distinct(column)))
    frame = pd.concat(
        [
            pd.Series([arm.label for arm in study.arms], index=arms, name="label"),
            counts.sum(axis=1).rename("planned"),
            counts,
            reasons.reindex(arms, fill_value="").rename("reasons"),
            mine.groupby("arm")["num_parameters"].max().reindex(arms).astype(float),
            ok.groupby("arm")["wall_s"].mean().reindex(arms).astype(float),
            _spread(ok, ["arm"], SUMMARISED).reindex(arms),
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
    mine = shown_trials(trials, study)[["fingerprint", "arm"]]
    joined = mine.merge(epochs, on="fingerprint")
    finite = joined[np.isfinite(joined["train_loss"]) & np.isfinite(joined["val_loss"])]
    spread = _spread(finite, ["arm", "epoch"], CURVES)
    spread.insert(0, "n", finite.groupby(["arm", "epoch"]).size())
    return spread.drop(columns=[f"{measure}_n" for measure in CURVES]).reset_index()


def _spread(frame: pd.DataFrame, keys: list[str], measures: Sequence[str]) -> pd.DataFrame:
    """Count and `SPREAD` of every measure, by `keys`; columns `<measure>_<what>`."""
    groups = frame.groupby(keys)
    columns: dict[str, pd.Series[Any]] = {}
    for measure in measures:
        values = groups[measure]
        n, mean, sd = values.count(), values.mean(), values.std()
        half = half_width(Effect(mean, sd / np.sqrt(n), n))
        spread: tuple[pd.Series[Any], ...] = (n, mean, sd, values.min(), values.max(), mean - half, mean + half)
        columns |= {f"{measure}_{what}": part for what, part in zip(("n", *SPREAD), spread, strict=True)}
    return pd.DataFrame(columns)


def _distinct(column: "pd.Series[str]") -> list[str]:
    return [str(value) for value in column.dropna().unique()]
