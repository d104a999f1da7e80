"""Charts of one arm, which the reader chooses: the classes it confuses, and whether its confidence is right."""

from typing import Any

import numpy as np

from cifar_models.data.cifar import CIFAR10, CIFAR100
from grid.analysis.study_result import StudyResult
from grid.analysis.summaries import ranking
from grid.analysis.tallies import together
from grid.formats import cut, number, percent, plural
from grid.report.charts.style import (
    NEUTRAL,
    QUALITATIVE,
    Figure,
    arm_uid,
    bar,
    heatmap,
    make_figure,
    note,
    plain,
    scatter,
    translucent,
)
from grid.tables.tallies import CONFIDENCE, IMAGES, NUM_BINS, RIGHT, Tally

CLASSES = {"cifar10": CIFAR10.classes, "cifar100": CIFAR100.classes}
"""Names of classes that are the same wherever the data came from; of others, only their numbers are stored."""
MAX_ARMS, MAX_CLASSES = 100, 20
"""The best so many arms can be chosen; of more classes, those that are hardest for all of them are shown."""
CELL = 42
MARKS = ((0, "#eba35b"), (0.5, "#fbf7ee"), (1, "#74afdc"))
"""Wrong answers to the left, right ones to the right; pale, so that plotly writes dark on every cell."""


def arms_to_choose(result: StudyResult) -> dict[int, str]:
    """Labels of the arms with answers, the best on validation first."""
    order = [arm for arm in ranking(result.summaries) if arm in result.tallies]
    first = [arm for arm in (result.conclusion.best,) if arm in order]
    chosen = list(dict.fromkeys([*first, *order]))[:MAX_ARMS]
    return {arm: cut(result.study.arms[arm].label, 80) for arm in chosen if arm is not None}


def hardest(confusions: list[Any]) -> list[int]:
    """The classes to show, in their order: of more than `MAX_CLASSES`, those with the fewest right answers of all."""
    right = np.sum([np.diag(cells) for cells in confusions], axis=0)
    return sorted(int(index) for index in np.argsort(right, kind="stable")[:MAX_CLASSES])


def class_names(result: StudyResult) -> list[str]:
    """What the classes of a study's data are called."""
    known = CLASSES.get(result.study.arms[0].config.data.name)
    size = max(len(tally.confusion) for of in result.tallies.values() for tally in of)
    return list(known) if known and len(known) >= size else [str(index) for index in range(size)]


def confusion(result: StudyResult) -> Figure | None:
    """Draws a table of true and predicted classes, beside it how many of each class are right; None without answers."""
    arms = arms_to_choose(result)
    if not arms:
        return None
    cells = {arm: together(result.tallies[arm]).confusion for arm in arms}
    names, shown = class_names(result), hardest(list(cells.values()))
    shares = {arm: each / np.maximum(each.sum(axis=1, keepdims=True), 1) for arm, each in cells.items()}
    off = ~np.eye(len(next(iter(cells.values()))), dtype=bool)
    worst = max(max(float(share[off].max()) for share in shares.values()), 0.01)
    traces: list[Any] = []
    for arm in arms:
        share, counts = (of[arm][np.ix_(shown, shown)] for of in (shares, cells))
        right, places = np.diag(share), list(range(len(shown)))
        common = {"y": places, "showlegend": False}
        traces.append(
            heatmap(
                x=places,
                z=np.where(np.eye(len(shown), dtype=bool), share, -np.sqrt(share / worst)).round(3).tolist(),
                zmin=-1,
                zmax=1,
                colorscale=MARKS,
                showscale=False,
                xgap=2,
                ygap=2,
                text=[[number(100 * value, 0) if value >= 0.01 else "" for value in row] for row in share],
                texttemplate="%{text}",
                textfont={"size": 11},
                customdata=counts.tolist(),
                hovertemplate="true %{y}, predicted %{x}: %{customdata:,} answers<extra></extra>",
                uid=arm_uid(arm, "cells"),
                y=places,
            )
        )
        traces.append(
            bar(
                x=right.round(4).tolist(),
                orientation="h",
                width=0.62,
                xaxis="x2",
                marker={"color": QUALITATIVE[0]},
                text=[percent(value) for value in right],
                textposition="outside",
                textfont={"size": 11},
                cliponaxis=False,
                hovertemplate="%{y}: %{text} right<extra></extra>",
                uid=arm_uid(arm, "classes"),
                **common,
            )
        )
    labels = [plain(cut(names[index], 12)) for index in shown]
    wide, narrow = (_table_layout(labels, form) for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, min_width=len(shown) * CELL + 200, choose=arms)


def _table_layout(labels: list[str], form: str) -> dict[str, Any]:
    ticks = {"tickmode": "array", "tickvals": list(range(len(labels))), "ticktext": labels, "ticks": ""}
    bare = {"showgrid": False, "zeroline": False}
    turned = -45 if max(map(len, labels)) > 4 else 0
    return {
        "height": len(labels) * 32 + 110,
        "margin": {"l": 12, "r": 52, "t": 30, "b": 76 if turned else 46},
        "xaxis": ticks
        | bare
        | {"domain": [0, 0.76], "tickangle": turned, "title": {"text": "predicted class", "standoff": 6}},
        "xaxis2": bare
        | {"domain": [0.79, 1], "range": [0, 1], "showticklabels": False, "side": "top", "anchor": "y"}
        | {"title": {"text": "right, per class", "standoff": 4}},
        "yaxis": ticks | bare | {"autorange": "reversed", "automargin": True, "title": {"text": "true class"}},
    }


def reliability(result: StudyResult) -> Figure | None:
    """Draws how often answers of each confidence are right, or says that no trial kept it; None without answers."""
    arms = {arm: label for arm, label in arms_to_choose(result).items() if _known(result, arm)}
    if not arms:
        empty = {"height": 80, "xaxis": {"visible": False}, "yaxis": {"visible": False}}
        empty["annotations"] = [note("These trials are of an older version, which kept no confidence.")]
        return make_figure([], empty, empty) if result.tallies else None
    diagonal = {"color": NEUTRAL, "dash": "dash", "width": 1.5}
    traces: list[Any] = [
        scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name="if confidence were right", hoverinfo="skip")
    ]
    for arm in arms:
        known = _known(result, arm)
        bins = together(known).bins
        assert bins is not None
        used = np.flatnonzero(bins[:, IMAGES])
        sure, right, size = (bins[used, column] / bins[used, IMAGES] for column in (CONFIDENCE, RIGHT, IMAGES))
        size = bins[used, IMAGES] / bins[:, IMAGES].sum()
        words = [f"{percent(of)} of the answers" for of in size]
        traces += [
            scatter(
                x=sure.round(4).tolist(),
                y=right.round(4).tolist(),
                mode="lines+markers",
                name=_ece_words(known),
                line={"color": QUALITATIVE[0]},
                marker={"size": 8},
                hovertext=words,
                hovertemplate="confidence %{x:.1%}, right %{y:.1%}<br>%{hovertext}<extra></extra>",
                uid=arm_uid(arm, "right"),
            ),
            bar(
                x=((used + 0.5) / NUM_BINS).round(4).tolist(),
                y=size.round(4).tolist(),
                yaxis="y2",
                showlegend=False,
                width=0.9 / NUM_BINS,
                marker={"color": translucent(QUALITATIVE[0], 0.6)},
                hovertext=words,
                hoverinfo="text",
                uid=arm_uid(arm, "share"),
            ),
        ]
    share = {"tickformat": "~%", "zeroline": False}
    layout = {
        "height": 420,
        "margin": {"l": 56, "r": 16, "t": 46, "b": 48},
        "xaxis": share
        | {"range": [-0.02, 1.02], "title": {"text": "confidence: probability of the predicted class", "standoff": 6}}
        | {"anchor": "y2"},
        "yaxis": share | {"range": [0, 1.03], "domain": [0.3, 1], "title": {"text": "right"}},
        "yaxis2": share | {"domain": [0, 0.22], "title": {"text": "answers"}, "nticks": 3},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "reversed"},
        "showlegend": True,
    }
    return make_figure(traces, layout, layout, choose=arms)


def confidence_words(result: StudyResult) -> str:
    """Which arms' confidence is best and worst, and how many trials were made before it was kept."""
    eces = {
        arm: float(np.mean([each.ece() for each in known])) for arm in result.tallies if (known := _known(result, arm))
    }
    lacking = sum(len(of) for of in result.tallies.values()) - sum(len(_known(result, arm)) for arm in result.tallies)
    ends = [f"{percent(eces[arm])} ({result.study.arms[arm].label})" for arm in sorted(eces, key=eces.__getitem__)]
    range_words = f" ECE goes from {ends[0]} to {ends[-1]}." if len(ends) > 1 else ""
    old = f" {plural(lacking, 'trial')} of an older version kept no confidence and can't be drawn." if lacking else ""
    return f"{range_words}{old}"


def _known(result: StudyResult, arm: int) -> list[Tally]:
    return [tally for tally in result.tallies[arm] if tally.bins is not None]


def _ece_words(known: list[Tally]) -> str:
    eces = [each.ece() for each in known]
    spread = f" ({number(100 * min(eces), 1)} to {number(100 * max(eces), 1)})" if len(eces) > 1 else ""
    return f"ECE {percent(float(np.mean(eces)))}{spread}, {plural(len(eces), 'seed')}"
