"""Chart: accuracy or loss while training, the mean over seeds and the range around it, an arm a line."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from grid.analysis.summaries import curves, shown_trials
from grid.formats import cut, plural, status_words
from grid.questions.claims import Claim, LevelClaim
from grid.questions.measures import MEASURES
from grid.questions.study import Study, arms_of
from grid.report.charts.grouping import Grouping, group_arms
from grid.report.charts.panels import HEIGHT_ALONE, LEGEND_NAME, MAX_NAME, NARROW, WIDE, Axes, axes_of, panel_layout
from grid.report.charts.style import (
    FAILURE,
    NAME,
    NEUTRAL,
    Figure,
    Trace,
    arm_uid,
    make_figure,
    plain,
    scatter,
    translucent,
)

Measure = Literal["acc", "loss"]
MAX_MARKED_EPOCHS = 15
"""Lines of more epochs carry so many markers, not one at each, which would only thicken them."""
CEILING = 2.0
"""A loss axis ends at so many times the median loss of the first epoch: one exploding arm must not flatten the rest."""
MAX_NAMED = 8
"""So many arms in one panel have their names at the ends of their lines; more have a legend."""
NAME_WIDTH, NAME_LINE = 24, 18
"""Characters of a line of such a name, of which there are two at most, and pixels that a line is given.

It is 15.6 high, and plotly's margin above and below what is shown takes a tenth of the height.
"""


def learning_curves(
    trials: pd.DataFrame, epochs: pd.DataFrame, study: Study, measure: Measure = "acc"
) -> Figure | None:
    """Draws the curves of all arms; None if no trial has one.

    Validation has markers, and a band from the lowest to the highest seed; train is thin and pale. A cross is where a
    trial ended without finishing. A dotted line is what a claim says that an arm has after its last epoch.
    """
    points = curves(trials, epochs, study)
    if points.empty:
        return None
    grouping = group_arms(study)
    traces = [*_legend(grouping)]
    planned = shown_trials(trials, study).groupby("arm").size()
    for arm, curve in points.groupby("arm"):
        traces += _arm_traces(int(str(arm)), curve, study, int(planned[arm]), grouping, measure)
    traces += _end_traces(early_ends(trials, epochs, study), study, grouping, measure)
    traces += _claimed_traces(points, study, grouping, measure)
    notes = curveless(points, trials, study, grouping)
    axes = _axes(points, measure)
    if named := 1 < len(grouping.series) <= MAX_NAMED and len(grouping.panels) == 1:
        first, last = int(points["epoch"].min()), int(points["epoch"].max())
        room = 0.03 * max(last - first, 1)
        axes = replace(axes, x=axes.x | {"range": [first - room, last + room]})
        traces += _name_traces(points, grouping, measure, axes)
    longest = max(min(len(name), NAME_WIDTH) for name in grouping.series)
    wide = panel_layout(grouping, notes, axes, WIDE, names=7 * longest if named else 0)
    return make_figure(traces, wide, panel_layout(grouping, notes, axes, NARROW))


def beside_each_other(heights: Sequence[float], gap: float, within: tuple[float, float]) -> list[float]:
    """Places as near to `heights`, in squares, as a gap between any two of them lets them be; their order stays.

    They lie within the lower and the upper bound, unless there is no room for all.
    """
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    lowest, highest = within[0], max(within[1] - steps[-1], within[0])
    places = np.empty(len(order))
    places[order] = np.clip(isotonic_regression(np.asarray(heights)[order] - steps).x, lowest, highest) + steps
    return [float(place) for place in places]


def early_ends(trials: pd.DataFrame, epochs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Where trials ended that trained but are not ok.

    Columns: `fingerprint`, `arm`, `seed`, `status`, `reason`; `epoch`, the last one; `acc` and `loss`, the last finite
    ones on validation (NaN if there are none).
    """
    mine = shown_trials(trials, study)
    failed = mine[mine["status"] != "ok"][["fingerprint", "arm", "seed", "status", "reason"]]
    joined = failed.merge(epochs[["fingerprint", "epoch", "val_acc", "val_loss"]], on="fingerprint")
    joined = joined.replace([np.inf, -np.inf], np.nan).sort_values(["arm", "seed", "epoch"])
    keys = ["fingerprint", "arm", "seed", "status", "reason"]
    last = joined.groupby(keys, sort=False).agg(
        epoch=("epoch", "max"), acc=("val_acc", "last"), loss=("val_loss", "last")
    )
    return last.reset_index()


def loss_ceiling(points: pd.DataFrame) -> float | None:
    """Where the loss axis ends, in nats; None if all of it can be shown."""
    highest = float(points[["train_loss_mean", "val_loss_max"]].max().max())
    first = points[points["epoch"] == 1]["val_loss_mean"]
    limit = CEILING * float(first.median()) if len(first) else math.inf
    return limit if highest > limit else None


def curveless(points: pd.DataFrame, trials: pd.DataFrame, study: Study, grouping: Grouping) -> list[list[str]]:
    """For each panel, a line on every arm that has trials but no curve: `0.1: diverged 3 of 3`."""
    mine = shown_trials(trials, study)
    lines: list[list[str]] = [[] for _ in grouping.panels]
    for arm in sorted(set(range(len(study.arms))) - set(points["arm"])):
        panel, series = grouping.places[arm]
        statuses = mine[mine["arm"] == arm]["status"]
        how = ", ".join(f"{status_words(str(s))} {n} of {len(statuses)}" for s, n in statuses.value_counts().items())
        lines[panel].append(f"{grouping.series[series]}: {how}")
    return lines


def _legend(grouping: Grouping) -> list[Trace]:
    """An entry a colour, drawn by a trace without points so that it stands whatever arms have curves."""
    return [
        scatter(
            x=[None],
            y=[None],
            mode="lines+markers",
            name=plain(cut(name, MAX_NAME), LEGEND_NAME),
            legendgroup=str(index),
            line={"color": colour, "width": 2.5, "dash": dash},
            marker={"symbol": symbol, "size": 7},
        )
        for index, (name, colour, symbol, dash) in enumerate(
            zip(grouping.series, grouping.colours, grouping.symbols, grouping.dashes, strict=True)
        )
    ]


def _arm_traces(
    arm: int, curve: pd.DataFrame, study: Study, num_seeds: int, grouping: Grouping, measure: Measure
) -> list[Trace]:
    panel, series = grouping.places[arm]
    colour = grouping.colours[series]
    common = {"legendgroup": str(series), "showlegend": False, **axes_of(panel)}
    between = curve[curve["n"] > 1]
    band = scatter(
        x=[*between["epoch"], *between["epoch"][::-1]],
        y=[*between[f"val_{measure}_max"], *between[f"val_{measure}_min"][::-1]],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(colour, 0.16),
        hoverinfo="skip",
        uid=arm_uid(arm, "band"),
        **common,
    )
    number = "%{y:.1%}" if measure == "acc" else "%{y:.3f}"
    lines = [
        scatter(
            x=curve["epoch"].to_list(),
            y=curve[f"{split}_{measure}_mean"].to_list(),
            customdata=curve["n"].to_list(),
            mode="lines+markers" if split == "val" else "lines",
            line={"color": colour, "width": width, "dash": grouping.dashes[series]},
            marker={"symbol": grouping.symbols[series], "size": 6, "maxdisplayed": MAX_MARKED_EPOCHS},
            uid=arm_uid(arm, split),
            opacity=opacity,
            meta=[plain(study.arms[arm].label, 40)],
            hovertemplate=(
                f"<b>%{{meta[0]}}</b><br>epoch %{{x}}: {MEASURES[f'{split}_{measure}'].words} {number}"
                f"<br>mean of %{{customdata}} of {plural(num_seeds, 'seed')}<extra></extra>"
            ),
            **common,
        )
        for split, width, opacity in (("train", 1.2, 0.55), ("val", 2.2, 1))
    ]
    return [band, *lines]


def _name_traces(points: pd.DataFrame, grouping: Grouping, measure: Measure, axes: Axes) -> list[Trace]:
    """The name of each arm right of its line, with its symbol, and a thin line that leads there."""
    last = points.sort_values("epoch").groupby("arm").tail(1)
    shown = points[[f"train_{measure}_mean", f"val_{measure}_min", f"val_{measure}_max"]]
    low, high = axes.y.get("range") or (float(shown.min().min()), float(shown.max().max()))
    names = [plain(cut(grouping.series[grouping.places[arm][1]], 2 * NAME_WIDTH), NAME_WIDTH) for arm in last["arm"]]
    gap = NAME_LINE * (1 + any("<br>" in name for name in names)) / HEIGHT_ALONE * (high - low)
    ends = last[f"val_{measure}_mean"].clip(low, high)
    places = beside_each_other(ends.to_list(), gap, (low, high))
    at = axes.x["range"][1]
    return [
        scatter(
            x=[epoch, at],
            y=[end, place],
            mode="lines+markers+text",
            text=["", name],
            textposition="middle right",
            textfont={"size": 12},
            line={"color": (colour := grouping.colours[grouping.places[arm][1]]), "width": 1},
            marker={"symbol": grouping.symbols[grouping.places[arm][1]], "size": [0, 8], "color": colour, "opacity": 1},
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
            uid=arm_uid(arm, NAME),
        )
        for arm, epoch, end, name, place in zip(last["arm"], last["epoch"], ends, names, places, strict=True)
    ]


def published_levels(study: Study, measure: Measure) -> list[tuple[Claim, LevelClaim, float]]:
    """The claims that an accuracy, or a loss, is a number which was published of this profile and data set."""
    here = (study.profile, study.dataset)
    return [
        (claim, level, level.about)
        for claim in study.claims
        if (level := claim.level) is not None and level.about is not None and level.measure.endswith(measure)
        if (at := claim.only_at) is not None and (at.profile, at.dataset) == here
    ]


def _claimed_traces(points: pd.DataFrame, study: Study, grouping: Grouping, measure: Measure) -> list[Trace]:
    """A line at each published number of this budget and data set, in the panel of its arm.

    They stand there, too, where a field was set by hand, so that nothing is judged by them.
    """
    first, last = int(points["epoch"].min()), int(points["epoch"].max())
    traces = []
    for claim, level, about in published_levels(study, measure):
        number = f"{100 * about:g} %" if measure == "acc" else f"{about:g}"
        traces += [
            scatter(
                x=[first, last],
                y=[about, about],
                mode="lines+text",
                text=[f"claimed on {level.measure.split('_')[0]}: {number}", ""],
                textposition="top right",
                textfont={"size": 12},
                line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
                hovertext="<br>".join([plain(claim.says, 50), plain(claim.source, 50)]),
                hoverinfo="text",
                showlegend=False,
                **axes_of(panel),
            )
            for panel in sorted({grouping.places[arm][0] for arm in arms_of(study, level)})
        ]
    return traces


def _end_traces(ends: pd.DataFrame, study: Study, grouping: Grouping, measure: Measure) -> list[Trace]:
    traces = []
    for arm, rows in ends.groupby("arm"):
        panel, series = grouping.places[int(str(arm))]
        label = plain(study.arms[int(str(arm))].label, 40)
        texts = [
            f"<b>{label}</b><br>seed {row.seed}: {status_words(str(row.status))} in epoch {row.epoch}"
            f"<br>{plain(str(row.reason), 50)}"
            for row in rows.itertuples()
        ]
        traces.append(
            scatter(
                x=rows["epoch"].to_list(),
                y=[None if math.isnan(value) else value for value in rows[measure]],
                mode="markers",
                marker={"symbol": "x", "size": 8, "color": grouping.colours[series]}
                | {"line": {"color": FAILURE, "width": 1.5}},
                hovertext=texts,
                hoverinfo="text",
                ids=[f"{arm}:{seed}" for seed in rows["seed"]],
                uid=arm_uid(int(str(arm)), "end"),
                legendgroup=str(series),
                showlegend=False,
                **axes_of(panel),
            )
        )
    return traces


def _axes(points: pd.DataFrame, measure: Measure) -> Axes:
    few = points["epoch"].max() <= MAX_MARKED_EPOCHS
    x = {"tickformat": "d", "dtick": 1 if few else None, "zeroline": False}
    if measure == "acc":
        return Axes(x, {"tickformat": "~%", "zeroline": False}, "left")
    ceiling = loss_ceiling(points)
    return Axes(x, {"range": None if ceiling is None else [0, ceiling], "zeroline": False}, "right")
