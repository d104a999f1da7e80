"""Chart: how far every arm is from the best one on test, with its interval and what was found (a forest plot)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grid.formats import cut, number, plural, signed
from grid.report.charts.style import (
    FAILURE,
    NEUTRAL,
    QUALITATIVE,
    Figure,
    Trace,
    make_figure,
    note,
    plain,
    scatter,
    stripe,
    translucent,
)

ROW = {"wide": 34, "narrow": 50}
"""Pixels an arm."""
ABOVE = {"wide": 0.5, "narrow": 0.68}
"""How much of its row is above an arm's mark: on a narrow page its label is there too."""
REACH = 2.0
"""The axis ends at so many times what the median arm needs: wide intervals and far arms must not squash the rest."""
FREE = 10
"""So many margins are on the axis anyway, if anything is there."""

BAND = translucent(QUALITATIVE[0], 0.18)


class Look(NamedTuple):
    """How a finding is shown."""

    name: str
    colour: str
    symbol: str


LOOKS = {
    "better": Look("better", QUALITATIVE[2], "triangle-up"),
    "equal": Look("equal", QUALITATIVE[0], "diamond"),
    "open": Look("not yet shown to differ", QUALITATIVE[1], "circle-open"),
    "worse": Look("worse", FAILURE, "triangle-down"),
    "untested": Look("not tested", NEUTRAL, "x-thin-open"),
}
"""Every finding."""


@dataclass(frozen=True)
class ForestRow:
    """An arm against the reference, in fractions.

    Attributes:
        arm: Index of the arm.
        label: Its label.
        difference: How much its test accuracy is above the reference's; None if there is none.
        low: Lower end of the 95 % interval; None without one.
        high: Its upper end.
        num_seeds: Seeds that it rests on.
        finding: One of `LOOKS`.
        note: Why it was not tested, or what else is to be known of it; may be empty.
    """

    arm: int
    label: str
    difference: float | None
    low: float | None
    high: float | None
    num_seeds: int
    finding: str
    note: str = ""


class _Place(NamedTuple):
    """Where an arm stands: its row on the chart, and its difference and ends in points, NaN where there are none."""

    row: int
    of: ForestRow
    difference: float
    low: float
    high: float

    @property
    def ends(self) -> list[float]:
        """The difference and, if there are any, the ends of the interval; empty without a difference."""
        return [end for end in (self.difference, self.low, self.high) if math.isfinite(end)]


def forest(rows: Sequence[ForestRow], margin: float) -> Figure | None:
    """Draws all arms, the one furthest above the reference on top, those without a difference last.

    Args:
        rows: The arms, without the reference.
        margin: Arms that differ by less, as a fraction, count as equal; drawn as a band.

    Returns:
        The figure; None if no arm has a difference.
    """
    places = _places(rows)
    if not any(place.ends for place in places):
        return None
    span = axis_range(rows, margin)
    traces = [_band_in_legend(margin), *_intervals(places, span), *_arrows(places, span)]
    num_entries = sum(trace.get("showlegend") is not False for trace in traces)
    wide, narrow = (
        _axes(places, span, form) | _frame(places, form, lines) | {"shapes": _shapes(places, margin, form)}
        for form, lines in (("wide", 1 + (num_entries > 5)), ("narrow", (num_entries + 1) // 2))
    )
    return make_figure(traces, wide, narrow, rows=[place.of.arm for place in places], row_height=ROW)


def axis_range(rows: Sequence[ForestRow], margin: float) -> tuple[float, float]:
    """From where to where the axis goes, in points: over everything that is not far beyond the median arm."""
    ends = [place.ends for place in _places(rows) if place.ends]
    low = _reach([-min(of) for of in ends], [-of[0] for of in ends], 100 * margin)
    high = _reach([max(of) for of in ends], [of[0] for of in ends], 100 * margin)
    padding = 0.04 * (low + high) or 0.1
    return -low - padding, high + padding


def _reach(ends: list[float], differences: list[float], margin: float) -> float:
    """How far the axis goes to one side, of which intervals end at `ends`; what is on the other side is negative."""
    mine = [end for end in ends if end > 0]
    if not mine:
        return 1.5 * margin
    # Of two arms, the nearer interval counts (the other may be very wide) and the farther difference.
    median_end = float(np.quantile(mine, 0.5, method="lower"))
    median_difference = float(np.quantile([d for d in differences if d > 0] or [0], 0.5, method="higher"))
    limit = max(FREE * margin, REACH * median_end, REACH * median_difference)
    return max(min(max(mine), limit), 1.5 * margin)


def _places(rows: Sequence[ForestRow]) -> list[_Place]:
    def points(value: float | None) -> float:
        return math.nan if value is None else 100 * value

    found = [(row, points(row.difference), points(row.low), points(row.high)) for row in rows]
    found.sort(key=lambda entry: -entry[1] if math.isfinite(entry[1]) else math.inf)
    return [_Place(position, *entry) for position, entry in enumerate(found)]


def _intervals(places: list[_Place], span: tuple[float, float]) -> list[Trace]:
    """The differences, and what of their intervals is on the axis; two traces a finding."""
    traces = []
    for finding, look in LOOKS.items():
        shown = [place for place in places if place.of.finding == finding and place.ends]
        if not shown:
            continue
        ends = [end for p in shown for end in (max(p.low, span[0]), min(p.high, span[1]), None)]
        rows = [row for p in shown for row in (p.row, p.row, None)]
        ids = [str(p.of.arm) for p in shown for _ in range(3)]
        line = {"color": look.colour, "width": 2}
        common = {"legendgroup": finding}
        hidden = {"hoverinfo": "skip", "showlegend": False}
        traces.append(scatter(x=ends, y=rows, ids=ids, mode="lines", line=line, **hidden, **common))
        traces.append(
            scatter(
                x=[place.difference for place in shown],
                y=[place.row for place in shown],
                mode="markers",
                name=look.name,
                marker={
                    "color": look.colour,
                    "symbol": look.symbol,
                    "size": 9,
                    "line": {"color": look.colour, "width": 2},
                },
                hovertext=[_hover(place) for place in shown],
                hoverinfo="text",
                ids=[str(place.of.arm) for place in shown],
                **common,
            )
        )
    return traces


def _arrows(places: list[_Place], span: tuple[float, float]) -> list[Trace]:
    """Marks at the ends of the axis where an interval or a difference goes on; none if all are on it."""
    inset = 0.008 * (span[1] - span[0])
    shown = [place for place in places if place.ends]
    left = [(place, span[0] + inset, "triangle-left") for place in shown if min(place.ends) < span[0]]
    right = [(place, span[1] - inset, "triangle-right") for place in shown if max(place.ends) > span[1]]
    marks = [*left, *right]
    if not marks:
        return []
    return [
        scatter(
            x=[x for _, x, _ in marks],
            y=[place.row for place, *_ in marks],
            mode="markers",
            name="beyond the axis",
            marker={
                "symbol": [symbol for *_, symbol in marks],
                "color": [LOOKS[place.of.finding].colour for place, *_ in marks],
                "size": 11,
            },
            cliponaxis=False,
            hovertext=[_hover(place) for place, *_ in marks],
            hoverinfo="text",
            ids=[str(place.of.arm) for place, *_ in marks],
        )
    ]


def _hover(place: _Place) -> str:
    of = place.of
    lines = [f"<b>{plain(of.label, 40)}</b>", f"{_numbers(place)} points", plural(of.num_seeds, "seed")]
    return "<br>".join([*lines, LOOKS[of.finding].name, *([plain(of.note, 50)] if of.note else [])])


def _numbers(place: _Place) -> str:
    """The difference and, if there is one, its interval: `+0.3 (0.1 to 0.5)`."""
    if not math.isfinite(place.low):
        return signed(place.difference, 1)
    return f"{signed(place.difference, 1)} ({number(place.low, 1)} to {number(place.high, 1)})"


def _band_in_legend(margin: float) -> Trace:
    return scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=f"±{100 * margin:g} points",
        marker={"symbol": "square", "size": 14, "color": BAND},
        hoverinfo="skip",
    )


def _frame(places: list[_Place], form: str, num_legend_lines: int) -> dict[str, Any]:
    """Sizes, legend and texts: numbers stand right of the rows, on a narrow page above them."""
    wide = form == "wide"
    body, top, bottom = len(places) * ROW[form], 24 * num_legend_lines + 36, 12
    longest = max(len(_in_numbers(place)) for place in places if place.ends)
    return {
        "height": body + top + bottom,
        "margin": {"l": 12, "r": 24 + 7 * longest if wide else 12, "t": top, "b": bottom},
        "annotations": [text for place in places for text in (_wide_texts if wide else _narrow_texts)(place)],
        "legend": {"orientation": "h", "x": 0, "y": 1 + 26 / body, "yanchor": "bottom"},
        "showlegend": True,
    }


def _axes(places: list[_Place], span: tuple[float, float], form: str) -> dict[str, Any]:
    return {
        "xaxis": {"range": list(span), "side": "top", "zeroline": False},
        "yaxis": {
            "range": [len(places) - ABOVE[form], -ABOVE[form]],
            "tickmode": "array",
            "tickvals": [place.row for place in places],
            "ticktext": [plain(cut(place.of.label, 56)) for place in places],
            "showticklabels": form == "wide",
            "automargin": True,
            "zeroline": False,
            "showgrid": False,
            "ticklabelstandoff": 8,
        },
    }


def _shapes(places: list[_Place], margin: float, form: str) -> list[dict[str, Any]]:
    """Behind the marks: a shade on every other row, the band of the margin, and the line at zero."""
    behind = {"type": "rect", "layer": "below", "line": {"width": 0}}
    upright = behind | {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    return [
        *(stripe(place.row - ABOVE[form]) for place in places[::2]),
        upright | {"x0": -100 * margin, "x1": 100 * margin, "fillcolor": BAND},
        upright | {"x0": 0, "x1": 0, "line": {"color": NEUTRAL, "width": 1.5}},
    ]


def _wide_texts(place: _Place) -> list[dict[str, Any]]:
    at = {"xref": "paper", "xanchor": "left", "y": place.row, "yanchor": "middle", "font": {"size": 12}}
    if place.ends:
        return [note(_in_numbers(place), x=1.01, **at)]
    return [note(plain(cut(place.of.note or LOOKS["untested"].name, 70)), x=0.008, **at)]


def _in_numbers(place: _Place) -> str:
    return _numbers(place) + ("" if math.isfinite(place.low) else f", {plural(place.of.num_seeds, 'seed')}")


def _narrow_texts(place: _Place) -> list[dict[str, Any]]:
    at = {"xref": "paper", "yanchor": "middle", "font": {"size": 11}}
    label = note(plain(cut(place.of.label, 44)), x=0, xanchor="left", y=place.row - 0.38, **at)
    if place.ends:
        return [label, note(signed(place.difference, 1), x=1, xanchor="right", y=place.row - 0.38, **at)]
    return [
        label,
        note(plain(cut(place.of.note or LOOKS["untested"].name, 48)), x=0, xanchor="left", y=place.row - 0.02, **at),
    ]
