"""A small picture of a study's answer for the index, as SVG: cells, curves, or differences from the best arm.

It is drawn without a script, in the colours of the page's style sheet.
"""

from collections.abc import Sequence

from grid.analysis.study_result import StudyResult
from grid.analysis.summaries import curves
from grid.report.charts.cells import has_heat_map, make_cells
from grid.report.charts.style import QUALITATIVE
from grid.report.claims_table import forest_rows

WIDTH, HEIGHT = 160, 72
MAX_ROWS = 6
"""Arms beside the best one whose differences are drawn."""
MAX_CURVES = 3
STEPS = 5
"""Shades of cells, classes `c0` to `c4` of the style sheet."""


def thumbnail(result: StudyResult) -> str:
    """The picture as an `<svg>` that needs no description, since the answer stands beside it; empty without one."""
    if not result.summaries["ok"].any():
        return ""
    if has_heat_map(result.study):
        marks = _cells(result)
    else:
        marks = (_curves(result) if len(result.study.arms) <= MAX_CURVES else "") or _differences(result)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<svg class="thumbnail" {box} aria-hidden="true">{marks}</svg>' if marks else ""


def _cells(result: StudyResult) -> str:
    cells = make_cells(result.summaries, result.study, "test_acc")
    low, high = cells.span
    width, height = WIDTH / len(cells.mean[0]), HEIGHT / len(cells.mean)
    marks = []
    for row, line in enumerate(cells.mean):
        for column, mean in enumerate(line):
            shade = "none" if mean is None else f"c{min(int((mean - low) / ((high - low) or 1) * STEPS), STEPS - 1)}"
            best = " best" if cells.arms[row][column] == result.conclusion.best is not None else ""
            marks.append(
                f'<rect class="{shade}{best}" x="{column * width + 1:.1f}" y="{row * height + 1:.1f}" '
                f'width="{max(width - 2, 1):.1f}" height="{max(height - 2, 1):.1f}"/>'
            )
    return "".join(marks)


def _curves(result: StudyResult) -> str:
    points = curves(result.trials, result.epochs, result.study)
    lines = {int(str(arm)): rows["val_acc_mean"].to_list() for arm, rows in points.groupby("arm")}
    values = [value for line in lines.values() for value in line]
    if not values or max(map(len, lines.values())) < 2:
        return ""
    low, high = min(values), max(values)
    step = (WIDTH - 8) / (max(map(len, lines.values())) - 1)
    return "".join(
        f'<polyline stroke="{QUALITATIVE[arm % len(QUALITATIVE)]}" points="'
        + " ".join(f"{4 + i * step:.1f},{_across(value, low, high, HEIGHT - 4, 4):.1f}" for i, value in enumerate(line))
        + '"/>'
        for arm, line in lines.items()
    )


def _differences(result: StudyResult) -> str:
    rows = [row for row in forest_rows(result.conclusion) if row.difference is not None]
    shown = sorted(rows, key=lambda row: -(row.difference or 0))[:MAX_ROWS]
    if not shown:
        return ""
    ends = [0.0, *(row.difference for row in shown if row.difference is not None)]
    spread = (max(ends) - min(ends)) or 0.01
    low, high = min(ends) - spread / 3, max(ends) + spread / 3
    marks = [
        f'<line class="zero" x1="{(x := _across(0, low, high, 2, WIDTH - 2)):.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>'
    ]
    for index, row in enumerate(shown):
        y = HEIGHT * (index + 0.5) / len(shown)
        left, dot, right = (
            _across(end, low, high, 2, WIDTH - 2) for end in _interval(row.low, row.difference, row.high)
        )
        marks.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<circle class="{row.finding}" cx="{dot:.1f}" cy="{y:.1f}" r="4"/>')
    return "".join(marks)


def _interval(*ends: float | None) -> Sequence[float]:
    """The ends of an interval and what is between them; all the same where there is no interval."""
    middle = ends[1] or 0.0
    return [middle if end is None else end for end in ends]


def _across(value: float, low: float, high: float, start: float, end: float) -> float:
    """Where a value of `low` to `high` is between `start` and `end`; what is outside is at the end."""
    share = min(max((value - low) / ((high - low) or 1), 0), 1)
    return start + share * (end - start)
