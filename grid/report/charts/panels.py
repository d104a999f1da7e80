"""Where the panels of a chart stand: side by side on a wide page, below each other on a narrow one."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from grid.report.charts.grouping import Grouping
from grid.report.charts.style import FAILURE, note, plain

WIDE, NARROW = 1080, 320
"""Pixels across that the two layouts count on."""
MAX_COLUMNS = 4
MAX_LEGEND = 24
"""A longer legend would push the chart off the screen; names then stand only where the mouse is."""
LEGEND_NAME, MAX_NAME = 40, 70
"""Characters after which a name in the legend is broken, and cut."""
HEIGHT_ALONE, HEIGHT_OF_SEVERAL = 300, 230
GAP, TITLE, BOTTOM, SPACE = 62, 36, 48, 0.025
"""Pixels between rows, above the first for its titles, below the last for its axis; share of the width in between."""


@dataclass(frozen=True)
class Axes:
    """What all panels have in common.

    Attributes:
        x: Properties of plotly's horizontal axes.
        y: Properties of its vertical axes.
        free: The upper corner that curves leave empty, where notes go.
    """

    x: dict[str, Any]
    y: dict[str, Any]
    free: Literal["left", "right"]


def axes_of(panel: int) -> dict[str, str]:
    """The axes that a panel's traces belong to, as plotly names them."""
    suffix = _suffix(panel)
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def panel_layout(grouping: Grouping, notes: list[list[str]], axes: Axes, width: int, names: int = 0) -> dict[str, Any]:
    """Properties of `layout` for all panels, which share their ranges, so that they compare at a glance.

    Args:
        grouping: The panels and the series in the legend.
        notes: Lines that are written in each panel.
        axes: What all panels have in common.
        width: `WIDE` or `NARROW`.
        names: Pixels that names at the ends of lines need, which then stand in for the legend; 0 without.
    """
    num_panels = len(grouping.panels)
    columns = min(num_panels, MAX_COLUMNS) if width == WIDE else 1
    rows = math.ceil(num_panels / columns)
    height = HEIGHT_ALONE if num_panels == 1 else HEIGHT_OF_SEVERAL
    body = rows * height + (rows - 1) * GAP
    top = 16 if names else TITLE + _legend_height(grouping, width)
    across = (1 - SPACE * (columns - 1)) / columns
    margin = {"l": 50, "r": 20 + names if names else 12, "t": top, "b": BOTTOM}
    layout: dict[str, Any] = {"height": body + top + BOTTOM, "margin": margin}
    annotations: list[dict[str, Any]] = []
    for panel in range(num_panels):
        row, column = divmod(panel, columns)
        left, high = column * (across + SPACE), 1 - row * (height + GAP) / body
        lowest = panel + columns >= num_panels
        layout[f"xaxis{_suffix(panel)}"] = axes.x | {
            "domain": [left, min(left + across, 1)],
            "anchor": f"y{_suffix(panel)}",
            "matches": "x" if panel else None,
            "title": {"text": "epoch" if lowest else "", "standoff": 6},
        }
        layout[f"yaxis{_suffix(panel)}"] = axes.y | {
            "domain": [max(high - height / body, 0), high],
            "anchor": f"x{_suffix(panel)}",
            "matches": "y" if panel else None,
            "showticklabels": column == 0,
        }
        place = {"y": high, "xref": "paper", "yref": "paper"}
        if title := grouping.panels[panel]:
            annotations.append(note(f"<b>{plain(title, 40)}</b>", x=left, xanchor="left", yanchor="bottom", **place))
        if notes[panel]:
            text = "<br>".join(plain(line, 34) for line in notes[panel])
            corner = {"x": left if axes.free == "left" else left + across, "xanchor": axes.free, "align": axes.free}
            annotations.append(note(text, yanchor="top", font={"color": FAILURE, "size": 11}, **corner, **place))
    legend = {"showlegend": False} if names else _legend(grouping, width, body)
    return layout | {"annotations": annotations} | legend


def _legend(grouping: Grouping, width: int, body: int) -> dict[str, Any]:
    title = {"text": plain(grouping.title, LEGEND_NAME), "side": "left" if width == WIDE else "top"}
    # plotly lets a legend scroll inside once it is half as high as the chart, unless it may have more pixels
    place = {"orientation": "h", "x": 0, "y": 1 + 26 / body, "yanchor": "bottom", "maxheight": 2000}
    return {"legend": place | {"title": title}, "showlegend": len(grouping.series) <= MAX_LEGEND}


def _legend_height(grouping: Grouping, width: int) -> int:
    """Pixels for the legend above the panels: a guess, as plotly does not say before it draws."""
    if len(grouping.series) > MAX_LEGEND:
        return 0
    rows, used = 1, 0
    for name in grouping.series:
        across = 56 + 7 * min(len(name), LEGEND_NAME)
        rows, used = (rows + 1, across) if used and used + across > width - 62 else (rows, used + across)
    longest = min(max(len(name) for name in grouping.series), MAX_NAME)
    row = 20 if longest <= LEGEND_NAME else 25 * math.ceil(longest / (LEGEND_NAME - 8))  # lines end at a space
    return row * rows + 20 * bool(grouping.title and width < WIDE) + 10


def _suffix(panel: int) -> str:
    return "" if panel == 0 else str(panel + 1)
