"""The charts of a study's page, each with its heading and how it is read, and which of them shows the answer."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grid.analysis.cases import MARGIN
from grid.analysis.study_result import StudyResult
from grid.formats import cut, quoted
from grid.report.charts import final_measures, has_heat_map, heat_map, learning_curves, response
from grid.report.charts.budgets import early_ranking, early_words
from grid.report.charts.disagreement import disagreement, disagreement_words
from grid.report.charts.forest import forest
from grid.report.charts.importance import axis_importance
from grid.report.charts.learning import Measure, published_levels
from grid.report.charts.one_arm import confidence_words, confusion, reliability
from grid.report.charts.parallel import parallel
from grid.report.charts.response import numeric_axis
from grid.report.charts.style import Figure
from grid.report.charts.trade_off import front_words, trade_off
from grid.report.claims_table import forest_rows

DIGITS = 5
"""Significant digits of a number in a figure; more than a screen can show."""


@dataclass(frozen=True)
class Chart:
    """A chart with its heading.

    Attributes:
        key: Its id on the page.
        title: Heading.
        caption: How it is read, in a sentence.
        figure: The chart as JSON that can stand inside a `<script>`.
        height: Pixels that are kept free for it, on a wide page and on a narrow one.
        top: Rows that are shown before the reader asks for more, on a wide page and on a narrow one.
        folded: Whether it is shown only to those who unfold it.
    """

    key: str
    title: str
    caption: str
    figure: str
    height: tuple[int, int]
    top: tuple[int, int] | None = None
    folded: bool = False


@dataclass(frozen=True)
class Row:
    """A chart that a page may have.

    Attributes:
        title: Heading.
        caption: How it is read, in a sentence; made of what was found.
        draw: Draws it; None where there is nothing to show.
        folded: Whether it is shown only to those who unfold it.
    """

    title: str
    caption: Callable[[StudyResult], str]
    draw: Callable[[StudyResult], Figure | None]
    folded: bool = False


BAND = "With markers: validation, mean over seeds, in a band from the lowest to the highest seed. Thin: train."
FRAMES = "Thick frame: the best on validation, which chooses; dotted: may be the best."
MAX_ROWS = (8, 5)
"""Rows of a chart that has to fit the first screen, of a wide page and of a narrow one."""
MAX_CURVES = 3
"""Arms whose curves, beside each other, are an answer."""


def _ok(result: StudyResult) -> str:
    """What a second line in a cell means, where there is one."""
    some = result.summaries["ok"].between(1, result.summaries["planned"] - 1)
    return ", or over those of them that are ok, as in “2 of 3”" if some.any() else ""


def _dotted(result: StudyResult, measure: Measure) -> str:
    """What a dotted line among curves is, where there is one."""
    return " Dotted: a published number of this profile." if published_levels(result.study, measure) else ""


def _reference(result: StudyResult) -> str:
    """The arm that others are shown against, and why it is not the best one where it is another."""
    reference, best = result.conclusion.reference, result.conclusion.best
    named = "" if reference is None else quoted(cut(result.study.arms[reference].label, 60))
    return named if reference == best else f"{named}, the best with seeds enough to compare"


def _cells(measure: str) -> Callable[[StudyResult], Figure | None]:
    return lambda result: heat_map(
        result.summaries, result.study, measure, result.conclusion.best, result.conclusion.winners
    )


CHARTS: dict[str, Row] = {
    "cells-test": Row(
        "Test accuracy of each combination",
        lambda result: f"Mean over seeds{_ok(result)}. {FRAMES}",
        _cells("test_acc"),
    ),
    "forest": Row(
        "How far from the best arm",
        lambda result: (
            f"Points of test accuracy above {_reference(result)}, with the 95 % interval. "
            "Shaded: equal for most purposes."
        ),
        lambda result: forest(forest_rows(result.conclusion), MARGIN),
    ),
    "response": Row(
        "Test accuracy by value",
        lambda _: "Mean over seeds; the bar goes from the lowest to the highest seed.",
        lambda result: response(result.summaries, result.study),
    ),
    "final": Row(
        "Accuracy after the last epoch",
        lambda _: "The highest validation accuracy on top. The bar is the 95 % interval of the mean over seeds alone.",
        lambda result: final_measures(result.summaries, result.trials, result.study),
    ),
    "cells-val": Row(
        "Validation accuracy of each combination", lambda _: "What the best arm is chosen by.", _cells("val_acc")
    ),
    "accuracy": Row(
        "Accuracy while training",
        lambda result: f"{BAND} A cross: a trial broke off.{_dotted(result, 'acc')}",
        lambda result: learning_curves(result.trials, result.epochs, result.study, "acc"),
    ),
    "loss": Row(
        "Loss while training",
        lambda result: (
            "Read in the same way. Where a loss explodes, the axis ends at twice the first epoch's median."
            + _dotted(result, "loss")
        ),
        lambda result: learning_curves(result.trials, result.epochs, result.study, "loss"),
    ),
    "sensitivity": Row(
        "What the result is sensitive to",
        lambda result: f"Share of the variance of validation accuracy. {result.sensitivity.note}".strip(),
        lambda result: axis_importance(result.sensitivity),
    ),
    "parallel": Row(
        "All axes at once",
        lambda _: (
            "An arm a line, to its test accuracy on the right; the thick one with diamonds is the best on validation."
        ),
        parallel,
        folded=True,
    ),
    "trade-off": Row(
        "Accuracy and what it costs",
        lambda result: f"Means over seeds. The numbered arms are not beaten for less; by {front_words(result)}.",
        trade_off,
        folded=True,
    ),
    "early": Row(
        "Whether an early stop could be trusted",
        lambda result: (
            "How far the order by validation accuracy agrees with that by test accuracy at the end: 1 is the "
            "same order, 0 none; with the 95 % interval over arms. A cross: the arm that ends best is not in the "
            f"better half.{early_words(result)}"
        ),
        early_ranking,
        folded=True,
    ),
    "disagreement": Row(
        "Where two arms disagree",
        lambda result: (
            "The images that one of two gets right and the other wrong: the chosen arm, and each other in a row. Its "
            f"own row has another of its seeds beside it: that is luck alone. {disagreement_words(result)} "
            "cifar-grid disagreements shows the images."
        ),
        disagreement,
        folded=True,
    ),
    "confusion": Row(
        "Which classes are confused",
        lambda _: (
            "Percent of the images of a true class, over all seeds. On the diagonal, blue: right; elsewhere, "
            "orange: confused, the darkest is the worst of all arms."
        ),
        confusion,
        folded=True,
    ),
    "reliability": Row(
        "Whether confidence is right",
        lambda result: (
            "Answers in bins by their confidence; below the dashed line it is too high. ECE, the expected "
            f"calibration error: how far apart they are, in the mean.{confidence_words(result)}"
        ),
        reliability,
        folded=True,
    ),
}
"""Every chart, by its id, in the order of a page; the one that shows the answer moves to the top."""


def make_charts(result: StudyResult) -> list[Chart]:
    """The charts of a study, the one that shows its answer first; none if no trial is ok."""
    if not (result.trials["status"] == "ok").any():
        return []
    figures = {key: figure for key, row in CHARTS.items() if (figure := row.draw(result)) is not None}
    first = picture_of(result, list(figures))
    order = sorted(figures, key=lambda key: key != first)
    return [_chart(key, figures[key], result, top=MAX_ROWS if key == first else None) for key in order]


def picture_of(result: StudyResult, drawn: list[str]) -> str:
    """The id of the chart that shows a study's answer, by the shape of its question, among those that are drawn."""
    study = result.study
    if has_heat_map(study):
        shape = "cells-test"
    elif len(study.axes) == 1 and numeric_axis(study):
        shape = "response"
    else:
        shape = "accuracy" if len(study.arms) <= MAX_CURVES else "forest"
    return next(key for key in (shape, "forest", "final", *drawn) if key in drawn)


def _chart(key: str, figure: Figure, result: StudyResult, top: tuple[int, int] | None) -> Chart:
    row, layout = CHARTS[key], figure["layout"]
    meta = layout["meta"]
    rows, heights = meta["rows"], [int(layout["height"]), int(meta["narrow"]["height"])]
    if top and rows:
        wide, narrow = (limit + (len(rows) == limit + 1) for limit in top)  # to ask for one more takes a row's place
        top = wide, narrow
        for index, form in enumerate(("wide", "narrow")):
            heights[index] -= max(len(rows) - top[index], 0) * meta["row_height"][form]
    # Inside <script> the parser looks for nothing but "</script" and "<!--".
    text = json.dumps(_short(figure), separators=(",", ":")).replace("<", "\\u003c")
    folded = row.folded and top is None
    return Chart(key, row.title, row.caption(result), text, (heights[0], heights[1]), top, folded)


def _short(value: Any) -> Any:
    """The same for JSON: numbers in `DIGITS`, null for what is no number, without what is empty."""
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items() if inner is not None and name != "template"}
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
