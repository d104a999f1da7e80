"""Chart: on how many test images the best arm and each other disagree, beside what another seed alone changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from grid.analysis.evidence import Evidence
from grid.analysis.study_result import StudyResult
from grid.analysis.tallies import overlap
from grid.formats import cut, number, quoted
from grid.report.charts.style import NEUTRAL, make_figure, note, plain

ROW = {"wide": 32, "narrow": 48}
"""Pixels an arm."""
MIN_SHARE = 0.09
"""Of the longest bar; a part that is shorter has no room for its number."""
SEED_ALONE = "the best arm itself, another seed"
PARTS = (
    ("only the best arm is right", "#1f6ea8", "#ffffff"),
    ("only the other is right", "#f0b45c", "#12202b"),
    ("none is right", "#eef0f2", "#12202b"),
)
"""Name of each part, its colour and that of its number: dark, middle and light, so that grey tells them apart too."""


@dataclass(frozen=True)
class Disagreement:
    """An arm beside the best: label, number of shared seeds, and mean numbers of images, as `overlap` gives them."""

    arm: int
    label: str
    num_seeds: int
    images: tuple[float, ...]


def disagreements(evidence: Evidence, best: int) -> list[Disagreement]:
    """Each arm that shares a seed with the best, the one that disagrees least first; before them, the best itself."""
    found = []
    for arm in evidence.contest():
        seeds = evidence.seeds(best, arm)
        if arm != best and seeds:
            images = overlap(evidence.answers(best, seeds), evidence.answers(arm, seeds))
            found.append(Disagreement(arm, evidence.study.arms[arm].label, len(seeds), tuple(images)))
    found.sort(key=lambda row: row.images[1] + row.images[2])
    seeds = evidence.seeds(best)
    if len(seeds) > 1:
        answers = evidence.answers(best, seeds)
        found.insert(
            0, Disagreement(best, SEED_ALONE, len(seeds), tuple(overlap(answers, np.roll(answers, 1, axis=0))))
        )
    return found


def disagreement(result: StudyResult) -> go.Figure | None:
    """Draws the images on which not both are right; None without another arm to compare."""
    best = result.conclusion.best
    rows = [] if best is None else disagreements(result.conclusion.judgement.evidence, best)
    if not any(row.arm != best for row in rows):
        return None
    least = MIN_SHARE * max(sum(row.images[1:]) for row in rows)
    traces = [
        go.Bar(
            x=[round(row.images[part + 1], 2) for row in rows],
            y=list(range(len(rows))),
            ids=[str(row.arm) for row in rows],
            orientation="h",
            width=0.5,
            name=name,
            marker={"color": colour, "line": {"color": NEUTRAL, "width": 1}},
            text=[number(row.images[part + 1], 0) if row.images[part + 1] >= least else "" for row in rows],
            constraintext="none",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": 11, "color": ink},
            hovertext=[_hover(row) for row in rows],
            hoverinfo="text",
        )
        for part, (name, colour, ink) in enumerate(PARTS)
    ]
    wide, narrow = (_layout(rows, form) for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, rows=[row.arm for row in rows], row_height=ROW)


def disagreement_words(result: StudyResult) -> str:
    """Says which arm is the best one, and of how many images."""
    images = next(iter(result.tallies.values()))[0].confusion.sum()
    return f"Best: {quoted(result.best_label)}. Of {images:,} test images; means over the seeds that both have."


def _hover(row: Disagreement) -> str:
    both, best, other, none = (number(images, 0) for images in row.images)
    lines = (f"both right: {both}", f"only the best arm: {best}", f"only this: {other}", f"none: {none} images")
    return "<br>".join([f"<b>{plain(row.label, 40)}</b>", *lines])


def _layout(rows: list[Disagreement], form: str) -> dict[str, Any]:
    """Labels stand left of the bars on a wide page and above them on a narrow one."""
    wide = form == "wide"
    labels = [plain(cut(row.label, 56)) for row in rows]
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "middle", "font": {"size": 11}}
    top = 40 if wide else 96
    return {
        "height": len(rows) * ROW[form] + top + 46,
        "margin": {"l": 12, "r": 16, "t": top, "b": 46},
        "barmode": "stack",
        "annotations": [] if wide else [note(text, y=row - 0.42, **place) for row, text in enumerate(labels)],
        "xaxis": {"title": {"text": "test images", "standoff": 6}, "zeroline": False},
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5 if wide else -0.7],
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": labels,
            "showticklabels": wide,
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
            "ticklabelstandoff": 8,
        },
        "legend": {"orientation": "h", "x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top"}
        | {"traceorder": "normal"},
        "showlegend": True,
    }
