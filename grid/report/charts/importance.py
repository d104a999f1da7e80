"""Chart: how much each axis matters, as shares of the variance between trials."""

from typing import Any

from grid.analysis.sensitivity import Kind, Sensitivity, Term, shown
from grid.formats import cut, number, percent
from grid.report.charts.style import NEUTRAL, QUALITATIVE, Figure, Trace, bar, make_figure, note, plain

ROW = {"wide": 38, "narrow": 56}
"""Pixels a bar."""
LOOKS: dict[Kind, tuple[str, str]] = {
    "axis": ("axes", QUALITATIVE[0]),
    "together": ("together, beyond each alone", QUALITATIVE[3]),
    "seeds": ("seeds", NEUTRAL),
}
"""Name and colour of each kind of term."""


def axis_importance(sensitivity: Sensitivity) -> Figure | None:
    """Draws a bar a term, the largest on top and the seeds last; None if there is none."""
    terms = shown(sensitivity.terms)
    if not terms:
        return None
    traces = [_bars(kind, terms) for kind in LOOKS if any(term.kind == kind for term in terms)]
    return make_figure(traces, _layout(terms, "wide"), _layout(terms, "narrow"))


def _bars(kind: Kind, terms: tuple[Term, ...]) -> Trace:
    shown = [(row, term) for row, term in enumerate(terms) if term.kind == kind]
    name, colour = LOOKS[kind]
    return bar(
        x=[term.share for _, term in shown],
        y=[row for row, _ in shown],
        orientation="h",
        name=name,
        width=0.46,
        marker={"color": colour, "line": {"width": 0}, "cornerradius": 3},
        text=[_share_words(term) for _, term in shown],
        textposition="outside",
        cliponaxis=False,
        constraintext="none",
        hovertext=[
            f"<b>{plain(term.name, 40)}</b><br>{percent(term.share)} of the variance, {term.df} degrees of freedom"
            for _, term in shown
        ],
        hoverinfo="text",
    )


def _share_words(term: Term) -> str:
    if term.share == 0 and term.kind != "seeds":
        return "no more than chance"
    return f"{number(100 * term.share, 0)} %" if term.share >= 0.005 else "below 1 %"


def _layout(terms: tuple[Term, ...], form: str) -> dict[str, Any]:
    """Names stand left of the bars on a wide page and above them on a narrow one."""
    wide = form == "wide"
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "middle", "font": {"size": 11.5}}
    names = [note(plain(cut(term.name, 44)), y=row - 0.45, **place) for row, term in enumerate(terms)]
    has_three_kinds = any(term.kind == "together" for term in terms)
    top = 62 if has_three_kinds and not wide else 40
    return {
        "height": len(terms) * ROW[form] + top + 12,
        "margin": {"l": 12, "r": 64, "t": top, "b": 12},
        "barmode": "overlay",
        "annotations": [] if wide else names,
        "xaxis": {"range": [0, max(term.share for term in terms)], "visible": False, "fixedrange": True},
        "yaxis": {
            "range": [len(terms) - 0.5, -0.5 if wide else -0.72],
            "tickmode": "array",
            "tickvals": list(range(len(terms))),
            "ticktext": [plain(cut(term.name, 60)) for term in terms],
            "showticklabels": wide,
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "ticklabelstandoff": 8,
        },
        "legend": {"orientation": "h", "x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top"},
        "showlegend": True,
    }
