"""Chart: on how many test images two arms disagree. One is chosen, every other has a row; any two can be compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grid.analysis.evidence import Evidence
from grid.analysis.study_result import StudyResult
from grid.analysis.tallies import overlap
from grid.formats import cut
from grid.report.charts.one_arm import arms_to_choose
from grid.report.charts.style import NEUTRAL, Figure, arm_uid, bar, make_figure, note, plain

ROW = {"wide": 32, "narrow": 48}
"""Pixels an arm."""
MAX_ARMS = 60
"""The best so many arms are drawn, each against all: their number goes into the page's size squared."""
MIN_TEXT = 11
"""Pixels of a number in a bar; one that has no room at this size is left out."""
PARTS = (
    ("only the chosen arm is right", "#1f6ea8", "#ffffff"),
    ("only the arm of the row is right", "#f0b45c", "#12202b"),
)
"""Name of each part, its colour and that of its number: dark and light, so that grey tells them apart too."""


def overlaps(evidence: Evidence, arms: Sequence[int]) -> npt.NDArray[np.float64]:
    """How the right answers of any two of A arms overlap, `(A, A, 4)`: see `grid.analysis.tallies.overlap`.

    Args:
        evidence: Of the study.
        arms: Their indices.

    Returns:
        Mean numbers of images over the seeds that both have, NaN where there is none. On the diagonal, an arm beside
        itself: each of its seeds and the next one.
    """
    both, alone, shared = (np.zeros((len(arms), len(arms))) for _ in range(3))
    num_images = 0
    for seed in sorted({seed for arm in arms for seed in evidence.seeds(arm)}):
        have = [place for place, arm in enumerate(arms) if seed in evidence.seeds(arm)]
        right = np.stack([evidence.answers(arms[place], [seed])[0] for place in have]).astype(np.float32)
        num_images = right.shape[1]
        here = np.ix_(have, have)
        both[here] += right @ right.T
        alone[here] += right.sum(axis=1)[:, None]
        shared[here] += 1
    first = alone - both
    found = np.stack([both, first, first.T, num_images * shared - both - first - first.T], axis=-1)
    found /= np.where(shared > 0, shared, np.nan)[..., None]
    for place, arm in enumerate(arms):
        seeds = evidence.seeds(arm)
        answers = evidence.answers(arm, seeds) if len(seeds) > 1 else None
        found[place, place] = np.nan if answers is None else overlap(answers, np.roll(answers, 1, axis=0))
    return found


def disagreement(result: StudyResult) -> Figure | None:
    """Draws the images that one of two gets right, for each arm that can be chosen; None with fewer than two."""
    evidence = result.conclusion.judgement.evidence
    labels = {arm: label for arm, label in arms_to_choose(result).items() if arm in evidence.contest()}
    arms = list(labels)[:MAX_ARMS]
    if len(arms) < 2:
        return None
    images = overlaps(evidence, arms)
    traces = [
        bar(
            x=images[place, :, part].round(1).tolist(),
            y=list(range(len(arms))),
            ids=[str(other) for other in arms],
            uid=arm_uid(arm, f"beside{part}"),
            orientation="h",
            width=0.64,
            name=name,
            marker={"color": colour, "line": {"color": NEUTRAL, "width": 1}},
            texttemplate="%{x:.0f}",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": MIN_TEXT, "color": ink},
            hovertemplate=f"<b>%{{y}}</b><br>{name}: %{{x:.1f}} images<extra></extra>",
        )
        for place, arm in enumerate(arms)
        for part, (name, colour, ink) in enumerate(PARTS, start=1)
    ]
    names = [plain(cut(labels[arm], 56)) for arm in arms]
    wide, narrow = (_layout(names, form) for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, rows=arms, row_height=ROW, choose={arm: labels[arm] for arm in arms})


def disagreement_words(result: StudyResult) -> str:
    """Says of how many images."""
    images = next(iter(result.tallies.values()))[0].confusion.sum()
    return f"Of {images:,} test images; means over the seeds that both have."


def _layout(labels: list[str], form: str) -> dict[str, Any]:
    """Labels stand left of the bars on a wide page and above them on a narrow one."""
    wide = form == "wide"
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "middle", "font": {"size": 11}}
    top = 40 if wide else 96
    return {
        "height": len(labels) * ROW[form] + top + 46,
        "margin": {"l": 12, "r": 16, "t": top, "b": 46},
        "barmode": "stack",
        "uniformtext": {"mode": "hide", "minsize": MIN_TEXT},
        "annotations": [] if wide else [note(text, y=row - 0.42, **place) for row, text in enumerate(labels)],
        "xaxis": {"title": {"text": "test images", "standoff": 6}, "zeroline": False},
        "yaxis": {
            "range": [len(labels) - 0.5, -0.5 if wide else -0.7],
            "tickmode": "array",
            "tickvals": list(range(len(labels))),
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
