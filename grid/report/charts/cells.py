"""Chart: a heat map of the mean accuracy in every cell of a question with two axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from grid.formats import percent, status_words
from grid.questions.measures import MEASURES
from grid.questions.study import Study
from grid.records.status import STATUSES
from grid.report.charts.style import Figure, full_name, heatmap, make_figure, plain

ROW = {"wide": 58, "narrow": 54}
"""Pixels a row, room for three lines."""
MIN_CELL, ROW_NAMES = 52, 84
"""Pixels that a cell's text and the names of the rows need in width."""
SCALE = ((0, "#fbf2df"), (0.5, "#d3e3e2"), (1, "#74afdc"))
"""Pale all along, so that plotly writes dark on every cell."""
FAILED = "#d9dce0"


@dataclass(frozen=True)
class Cells:
    """A table of cells, `rows` by `columns`: the values of the first axis by those of the second.

    Attributes:
        mean: Mean over the seeds that are ok; None without any.
        text: What is written in the cell, a line an entry: the mean, and how many trials are ok if not all are.
        hover: Labels of the arms, and why trials of it are not ok.
        arms: Index of the arm; None where there is none.
        span: Lowest and highest mean, of validation and test together, so that both charts share their colours.
    """

    mean: list[list[float | None]]
    text: list[list[list[str]]]
    hover: list[list[list[str]]]
    arms: list[list[int | None]]
    span: tuple[float, float]


def has_heat_map(study: Study) -> bool:
    """Whether the study is a table: two axes of two or more values, more than three quarters of all cells tried.

    One axis at a time fills three quarters of a table at most: of two by two, all but one.
    """
    if len(study.axes) != 2 or any(len(axis.values) < 2 for axis in study.axes):
        return False
    complete = all(arm.values.get(axis.field) is not None for arm in study.arms for axis in study.axes)
    return complete and len(study.arms) * 4 > 3 * len(study.axes[0].values) * len(study.axes[1].values)


def heat_map(
    summaries: pd.DataFrame,
    study: Study,
    measure: str = "val_acc",
    best: int | None = None,
    winners: Sequence[int] = (),
) -> Figure | None:
    """Draws the mean of `measure` in each cell; None if there is no table or no trial is ok.

    Cells without a mean say what became of their trials; those that were never planned show a dash. A thick frame is
    around the arm `best`, a dotted one around each of `winners`.
    """
    if not has_heat_map(study) or not summaries["ok"].any():
        return None
    cells = make_cells(summaries, study, measure)
    unknown = [[0 if value is None else None for value in row] for row in cells.mean]
    columns, rows = (list(range(len(axis.values))) for axis in (study.axes[1], study.axes[0]))
    common = {
        "x": columns,
        "y": rows,
        "text": [["<br>".join(plain(line) for line in cell) for cell in row] for row in cells.text],
        "hovertext": [["<br>".join(plain(line, 50) for line in cell) for cell in row] for row in cells.hover],
        "hoverinfo": "text",
        "texttemplate": "%{text}",
        "textfont": {"size": 11},
        "xgap": 3,
        "ygap": 3,
        "showscale": False,
        "customdata": cells.arms,
    }
    low, high = cells.span
    traces = [
        heatmap(z=unknown, colorscale=[[0, FAILED], [1, FAILED]], name="no result", **common),
        heatmap(
            z=cells.mean, zmin=low, zmax=max(high, low + 1e-6), colorscale=SCALE, name=MEASURES[measure].part, **common
        ),
    ]
    frames = {"shapes": [_frame(cells, arm, arm == best) for arm in {*winners, *([] if best is None else [best])}]}
    wide, narrow = (_layout(study, form) | frames for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, min_width=len(columns) * MIN_CELL + ROW_NAMES)


def make_cells(summaries: pd.DataFrame, study: Study, measure: str) -> Cells:
    """The table of a measure, from the summaries of arms."""
    first, second = study.axes
    shape = range(len(first.values)), range(len(second.values))
    mean: list[list[float | None]] = [[None for _ in shape[1]] for _ in shape[0]]
    text = [[["\N{EN DASH}"] for _ in shape[1]] for _ in shape[0]]
    hover = [[["not part of the question"] for _ in shape[1]] for _ in shape[0]]
    arms: list[list[int | None]] = [[None for _ in shape[1]] for _ in shape[0]]
    for summary, arm in zip(summaries.to_dict("records"), study.arms, strict=True):
        row, column = (axis.values.index(arm.values[axis.field]) for axis in (first, second))
        arms[row][column] = int(summary["arm"])
        others = {s: int(summary[s]) for s in STATUSES if s != "ok" and summary[s]}
        failed = [f"{summary['ok']} of {summary['planned']}"] if others else []
        if summary["ok"]:
            mean[row][column] = float(summary[f"{measure}_mean"])
            text[row][column] = [percent(mean[row][column]), *failed]
        else:
            text[row][column] = [status_words(status) for status in others]
        name = f"{MEASURES[measure].words} {percent(summary[f'{measure}_mean'])}, mean of {summary['ok']}"
        hover[row][column] = [arm.label, name, *str(summary["reasons"]).splitlines()]
    means = summaries[["val_acc_mean", "test_acc_mean"]]
    return Cells(mean, text, hover, arms, (float(means.min().min()), float(means.max().max())))


def _frame(cells: Cells, arm: int, is_best: bool) -> dict[str, Any]:
    """The frame around an arm's cell: thick around the best, dotted around one that may be the best."""
    (row, column), *_ = ((r, c) for r, line in enumerate(cells.arms) for c, of in enumerate(line) if of == arm)
    around = {"x0": column - 0.46, "x1": column + 0.46, "y0": row - 0.44, "y1": row + 0.44}
    line = {"color": "#12303f", "width": 3 if is_best else 2, "dash": "solid" if is_best else "dot"}
    return {"type": "rect", "xref": "x", "yref": "y", "line": line, **around}


def _layout(study: Study, form: str) -> dict[str, Any]:
    first, second = study.axes
    wide = form == "wide"
    rows = [full_name(first, position) for position in range(len(first.values))]
    side = 10 if wide else 2
    return {
        "height": len(first.values) * ROW[form] + 62,
        "margin": {"l": side, "r": side, "t": 8, "b": 54},
        "xaxis": _axis(second.names, 12) | {"title": {"text": plain(second.label, 40), "standoff": 8}},
        "yaxis": _axis(rows, 30 if wide else 13) | {"autorange": "reversed"},
        "font": {"size": 12},
    }


def _axis(names: Sequence[str], name_width: int) -> dict[str, Any]:
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [plain(name, name_width) for name in names],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "tickangle": 0,
        "ticks": "",
        "ticklabelstandoff": 3,
        "type": "linear",
    }
