"""Chart: the final accuracy over the values of a numeric axis, a line for what else an arm is made of."""

import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from grid.formats import percent
from grid.questions.study import Axis, Study
from grid.report.charts.grouping import is_numeric
from grid.report.charts.style import DASHES, QUALITATIVE, SYMBOLS, Figure, Trace, full_name, make_figure, plain, scatter

MIN_VALUES = 3
"""Fewer points are no line."""
LOG_RATIO = 20
"""An axis is logarithmic if its largest value is more than so many times its smallest above zero."""


@dataclass(frozen=True)
class Line:
    """Arms that differ in the axis only.

    Attributes:
        name: What they have in common, in words; empty if there is nothing to say.
        arms: Their indices, by rising value.
        x: The values, as drawn.
    """

    name: str
    arms: tuple[int, ...]
    x: tuple[float, ...]


def response(summaries: pd.DataFrame, study: Study) -> Figure | None:
    """Draws mean test accuracy, with a bar from the lowest to the highest seed; None if no line has three values."""
    axis = numeric_axis(study)
    if axis is None:
        return None
    shown = [line for line in lines(study, axis) if summaries["ok"].iloc[list(line.arms)].any()]
    traces = [_trace(line, index, summaries) for index, line in enumerate(shown)]
    wide, narrow = _layout(axis, study, 1), _layout(axis, study, len(shown))
    narrow["xaxis"] |= {"tickangle": -45}
    return make_figure(traces, wide, narrow) if traces else None


def numeric_axis(study: Study) -> Axis | None:
    """The numeric axis with the most values along which three arms or more differ in nothing else."""
    usable = [
        axis
        for axis in study.axes
        if is_numeric(axis) and any(len(line.arms) >= MIN_VALUES for line in lines(study, axis))
    ]
    return max(usable, key=lambda axis: len(axis.values), default=None)


def lines(study: Study, axis: Axis) -> list[Line]:
    """The arms in lines along an axis; those that stand alone are left out."""
    groups: dict[str, list[int]] = {}
    for index, arm in enumerate(study.arms):
        if arm.values.get(axis.field) is not None:
            groups.setdefault(json.dumps({**arm.values, axis.field: None}, sort_keys=True), []).append(index)
    others = [other for other in study.axes if other != axis]
    found = []
    for arms in (arms for arms in groups.values() if len(arms) > 1):
        arms.sort(key=lambda arm: float(study.arms[arm].values[axis.field]))
        values = study.arms[arms[0]].values
        names = [full_name(o, o.values.index(values[o.field])) for o in others if values.get(o.field) is not None]
        x = tuple(position(axis, float(study.arms[arm].values[axis.field])) for arm in arms)
        found.append(Line(", ".join(names), tuple(arms), x))
    return found


def is_logarithmic(axis: Axis) -> bool:
    """Whether the axis covers so much that equal steps have to be equal ratios."""
    above = [value for value in axis.values if value > 0]
    return len(above) >= MIN_VALUES and min(axis.values) >= 0 and max(above) / min(above) > LOG_RATIO


def position(axis: Axis, value: float) -> float:
    """Where a value stands: zero, which a logarithmic axis has no place for, left of all others."""
    return min(v for v in axis.values if v > 0) / 4 if value == 0 and is_logarithmic(axis) else value


def _trace(line: Line, index: int, summaries: pd.DataFrame) -> Trace:
    rows = [row for row in summaries.iloc[list(line.arms)].to_dict("records")]
    means = [None if math.isnan(row["test_acc_mean"]) else float(row["test_acc_mean"]) for row in rows]
    up, down = ([float(row[f"test_acc_{end}"] - row["test_acc_mean"]) for row in rows] for end in ("max", "min"))
    colour, turn = QUALITATIVE[index % len(QUALITATIVE)], index // len(SYMBOLS)
    return scatter(
        x=list(line.x),
        y=means,
        ids=[str(arm) for arm in line.arms],
        mode="lines+markers",
        name=plain(line.name or "test accuracy", 40),
        line={"color": colour, "width": 2.2, "dash": DASHES[turn % len(DASHES)]},
        marker={"symbol": SYMBOLS[(index + turn) % len(SYMBOLS)], "size": 9},
        error_y={"array": up, "arrayminus": [-end for end in down], "thickness": 1.4, "width": 4, "color": colour},
        hovertext=[
            f"<b>{plain(str(row['label']), 40)}</b><br>test accuracy {percent(row['test_acc_mean'])}, "
            f"mean of {row['ok']}"
            for row in rows
        ],
        hoverinfo="text",
    )


def _layout(axis: Axis, study: Study, num_legend_lines: int) -> dict[str, Any]:
    top = 16 + 24 * min(num_legend_lines, 12)
    return {
        "height": 300 + top,
        "margin": {"l": 54, "r": 12, "t": top, "b": 48},
        "xaxis": {
            "type": "log" if is_logarithmic(axis) else "linear",
            "title": {"text": plain(axis.label, 60), "standoff": 8},
            "tickmode": "array",
            "tickvals": [position(axis, value) for value in axis.values],
            "ticktext": [plain(name, 12) for name in axis.names],
            "tickangle": 0,
            "zeroline": False,
        },
        "yaxis": {"title": {"text": "test accuracy", "standoff": 8}, "tickformat": "~%", "zeroline": False}
        | {"automargin": True},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "maxheight": 2000},
        "showlegend": len(study.axes) > 1,
    }
