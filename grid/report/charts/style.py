"""What all charts share: colours that colour-blind readers tell apart, escaped text, two layouts a figure.

A figure's own layout is for a wide page; `layout.meta["narrow"]` holds the one for a phone, and the page's script
picks. Colours of text and grid lines are the page's, so that they follow its light or dark scheme.

The script also filters figures, and links them with each other and with the tables. It knows what belongs to an arm by
these signs: a trace whose `uid` is `arm_uid(arm, part)`; points with `ids`, each an arm's index or `arm:seed`; a heat
map whose `customdata` holds the arm of each cell. A figure with a row an arm names them in `layout.meta["rows"]`, one
that shows a single arm at a time those that can be chosen, and their labels, in `layout.meta["choose"]`; there the
traces of the others are left out. Traces of the part `NAME` stand in for a legend, and only where the layout has none.
`make_figure` refuses what lacks what the script needs.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from grid.questions.study import Axis

QUALITATIVE = ("#1f7fc0", "#e08a00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1")
"""Okabe and Ito's colours, the blue a little lighter, without black and yellow, which vanish on dark or white.

Source: Okabe and Ito 2008, Color Universal Design, jfly.uni-koeln.de/color.
"""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "star")
"""The second sign, beside colour, by which series are told apart."""
DASHES = ("solid", "6px,3px", "2px,3px", "9px,3px,2px,3px")
"""The third: one for each round of symbols."""
RAMP = ((66, 100, 216), (128, 88, 208), (192, 72, 156), (226, 98, 84), (226, 146, 34))
"""From low to high by hue and lightness, every colour readable on white and on black."""
NAME = "name"
Trace = dict[str, Any]
"""One of the things that a chart draws, in plotly's terms.

It is checked by tests (`test_plotly_knows_every_property_of_every_chart`), not each time that a chart is made: plotly's
own classes would take as long for that as everything else that makes a page.
"""
Figure = dict[str, Any]
"""A chart as plotly.js takes it: its traces as `data`, and its `layout`."""
FAILURE = "#d5482a"
NEUTRAL = "#8b929c"


def ramp(num_colours: int) -> list[str]:
    """So many colours from low to high, as `#rrggbb`."""
    colours = []
    for index in range(num_colours):
        position = index / max(num_colours - 1, 1) * (len(RAMP) - 1)
        left = min(int(position), len(RAMP) - 2)
        mixed = (round(a + (b - a) * (position - left)) for a, b in zip(RAMP[left], RAMP[left + 1], strict=True))
        colours.append("#" + "".join(f"{part:02x}" for part in mixed))
    return colours


def translucent(colour: str, alpha: float) -> str:
    """A `#rrggbb` colour that lets what is behind it show."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def plain(text: str, width: int | None = None) -> str:
    """Text from a question or a trial as plotly shall show it: as written, and broken into lines of `width`.

    Plotly renders some HTML in every text and fills in `%{...}`; neither may come from a label. It knows few
    entities, so quotes stay as they are.
    """
    lines = textwrap.wrap(text, width) if width else [text]
    return "<br>".join(escape(line, quote=False).replace("%{", "%&#123;") for line in lines)


def full_name(axis: Axis, position: int) -> str:
    """What a value is called; with the axis' label if it is called by itself, which says nothing: `0.1` or `true`."""
    name, value = axis.names[position], axis.values[position]
    bare = not isinstance(value, str) and name in (json.dumps(value), f"{value:g}" if isinstance(value, float) else "")
    return f"{axis.label} {name}" if bare else name


def arm_uid(arm: int, part: str) -> str:
    """Name of a trace that is about one arm only."""
    return f"arm{arm}-{part}"


def scatter(**properties: Any) -> Trace:
    """Points and lines."""
    return {"type": "scatter", **properties}


def bar(**properties: Any) -> Trace:
    """Bars."""
    return {"type": "bar", **properties}


def heatmap(**properties: Any) -> Trace:
    """Coloured cells."""
    return {"type": "heatmap", **properties}


def make_figure(
    traces: list[Trace],
    wide: Mapping[str, Any],
    narrow: Mapping[str, Any],
    min_width: int = 0,
    rows: Sequence[int] = (),
    row_height: Mapping[str, int] | None = None,
    choose: Mapping[int, str] | None = None,
) -> Figure:
    """A figure with a layout for wide pages and one for narrow ones.

    Args:
        traces: What is drawn.
        wide: Properties of `layout` from about 720 pixels on.
        narrow: The same, for less.
        min_width: Pixels below which the page lets the reader scroll the chart instead of squeezing it.
        rows: The arm of each row, if the chart has a row an arm: the row of y = 0 first.
        row_height: Pixels of a row, `wide` and `narrow`.
        choose: Label of each arm, if the chart shows one of them at a time: the first before a reader chooses.

    Raises:
        ValueError: A layout has no `height`, or of a chart with rows no `range`, `tickvals` and `ticktext` of its
            `yaxis`, or there is no `row_height`: the page's script takes rows out by them.
    """
    for form, layout in {"wide": wide, "narrow": narrow}.items():
        needed = {"range", "tickvals", "ticktext"} - set(layout.get("yaxis", ())) if rows else set()
        needed |= {"height"} - set(layout) | ({"row_height"} if rows and form not in (row_height or {}) else set())
        if needed:
            raise ValueError(f"the {form} layout of a chart lacks {', '.join(sorted(needed))}")
    narrow_layout = {**_common(), **narrow}
    meta = {"narrow": narrow_layout, "min_width": min_width, "rows": list(rows), "row_height": row_height or {}}
    meta["choose"] = list((choose or {}).items())
    return {"data": traces, "layout": {**_common(), **wide, "meta": meta}}


def note(text: str, **place: Any) -> dict[str, Any]:
    """An annotation of text that is already escaped, without an arrow, at a `place` in plotly's terms."""
    return {"text": text, "showarrow": False, **place}


def stripe(top: float) -> dict[str, Any]:
    """A shade behind one row, from `top` on; on every other row it holds together what belongs to an arm."""
    across = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": top, "y1": top + 1}
    look = {"fillcolor": translucent(NEUTRAL, 0.09), "line": {"width": 0}, "layer": "below"}
    return across | look | {"name": "stripe"}


def _common() -> dict[str, Any]:
    return {
        "template": {},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"align": "left"},
        "hovermode": "closest",
    }
