"""Chart: parallel coordinates, an arm a line over the axes of a question, to its accuracy."""

from dataclasses import dataclass
from typing import Any

from grid.analysis.study_result import StudyResult
from grid.analysis.summaries import ranking
from grid.formats import cut, percent
from grid.report.charts.grouping import value_name
from grid.report.charts.style import NEUTRAL, Figure, arm_uid, make_figure, note, plain, ramp, scatter

MIN_AXES = 3
"""Fewer axes are a table, which says more."""
MAX_ARMS = 100
"""The best so many arms are drawn; more lines can't be told apart."""
SPREAD = 0.05
"""Lines through one value are drawn so far apart, the best arm's on top."""
NONE = "other"
COLOURS = 9


@dataclass(frozen=True)
class Line:
    """An arm: its index and where its line crosses each axis, from 0 to 1, the accuracy last."""

    arm: int
    heights: tuple[float, ...]


def lines(result: StudyResult) -> tuple[list[Line], list[dict[str, float]]]:
    """The lines of the arms that have results, the best last, and for each axis the height of each value's name."""
    study, rows = result.study, result.summaries
    arms = [arm for arm in ranking(rows) if rows["ok"][arm]][:MAX_ARMS][::-1]
    ticks: list[dict[str, float]] = []
    for axis in study.axes:
        used = [value_name(axis, study.arms[arm]) or NONE for arm in arms]
        names = [name for name in (NONE, *axis.names) if name in used]
        ticks.append({name: (place + 0.5) / len(names) for place, name in enumerate(names)})
    accuracy = rows["test_acc_mean"][arms]
    low, span = float(accuracy.min()), float(accuracy.max() - accuracy.min()) or 1.0
    ticks.append({percent(low + share * span): share for share in (0, 0.5, 1)})
    found = []
    for arm in arms:
        share = (float(accuracy[arm]) - low) / span
        values = [value_name(axis, study.arms[arm]) or NONE for axis in study.axes]
        heights = (of[name] + SPREAD * (2 * share - 1) for of, name in zip(ticks, values, strict=False))
        found.append(Line(arm, (*heights, share)))
    return found, ticks


def parallel(result: StudyResult) -> Figure | None:
    """Draws the arms, coloured by test accuracy, the best one thick; None with fewer than three axes or arms."""
    if len(result.study.axes) < MIN_AXES or (result.summaries["ok"] > 0).sum() < MIN_AXES:
        return None
    found, ticks = lines(result)
    colours, best = ramp(COLOURS), result.conclusion.best
    traces = [
        scatter(
            x=list(range(len(line.heights))),
            y=line.heights,
            mode="lines+markers",
            uid=arm_uid(line.arm, "line"),
            line={
                "color": colours[round(line.heights[-1] * (COLOURS - 1))],
                "width": 4 if line.arm == best else 1.6,
                "shape": "spline",
                "smoothing": 0.6,
            },
            marker={"size": 9 if line.arm == best else 4, "symbol": "diamond" if line.arm == best else "circle"},
            hovertext=f"<b>{plain(result.study.arms[line.arm].label, 40)}</b><br>test accuracy "
            f"{percent(result.summaries['test_acc_mean'][line.arm])}",
            hoverinfo="text",
            showlegend=False,
        )
        for line in found
    ]
    titles = [*(axis.label for axis in result.study.axes), "test accuracy"]
    wide, narrow = (_layout(titles, ticks, form) for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, min_width=100 * len(titles))


def _layout(titles: list[str], ticks: list[dict[str, float]], form: str) -> dict[str, Any]:
    names = [
        note(plain(cut(name, 14)), x=place, y=height, xanchor="right", xshift=-8, font={"size": 11, "shadow": "auto"})
        for place, axis in enumerate(ticks)
        for name, height in axis.items()
    ]
    heads = [
        note(f"<b>{plain(title, 14)}</b>", x=place, y=1.05, yanchor="bottom", font={"size": 12})
        for place, title in enumerate(titles)
    ]
    upright = {"type": "line", "y0": -0.02, "y1": 1.02, "line": {"color": NEUTRAL, "width": 1}, "layer": "below"}
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "fixedrange": True}
    return {
        "height": 400,
        "margin": {"l": 8, "r": 8, "t": 52, "b": 8},
        "annotations": [*names, *heads],
        "shapes": [upright | {"x0": place, "x1": place} for place in range(len(titles))],
        "xaxis": hidden | {"range": [-0.75, len(titles) - 0.6]},
        "yaxis": hidden | {"range": [-0.05, 1.05]},
    }
