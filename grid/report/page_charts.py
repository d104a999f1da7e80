"""The charts of a study's page, each with its heading and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from grid.analysis.cases import MARGIN
from grid.analysis.study_result import StudyResult
from grid.formats import quoted
from grid.report.charts import final_measures, heat_map, learning_curves
from grid.report.charts.forest import forest
from grid.report.charts.importance import axis_importance
from grid.report.claims_table import forest_rows


@dataclass(frozen=True)
class Chart:
    """A chart with its heading.

    Attributes:
        key: Its id on the page.
        title: Heading.
        caption: How it is read, in a sentence.
        figure: The chart as JSON that can stand inside a `<script>`.
        height: Pixels that are kept free for it, on a wide page and on a narrow one.
        half: Whether two of its kind share a wide page.
    """

    key: str
    title: str
    caption: str
    figure: str
    height: tuple[int, int]
    half: bool = False


@dataclass(frozen=True)
class Row:
    """A chart that a page may have.

    Attributes:
        title: Heading.
        caption: How it is read, in a sentence; made of what was found.
        draw: Draws it; None where there is nothing to show.
        half: Whether two of its kind share a wide page.
    """

    title: str
    caption: Callable[[StudyResult], str]
    draw: Callable[[StudyResult], go.Figure | None]
    half: bool = False


BAND = "Solid: validation, mean over seeds, with a band from the lowest to the highest seed; dashed: train."

CHARTS: dict[str, Row] = {
    "forest": Row(
        "How far from the best arm",
        lambda result: (
            f"Test accuracy of each arm above that of {quoted(result.best_label)}, paired by seed and by image, "
            "with its 95 % interval, for it alone. The finding is corrected for all comparisons. Shaded: equal for "
            "most purposes. An arrow: it goes on beyond the axis."
        ),
        lambda result: forest(forest_rows(result.conclusion), result.best_label, MARGIN),
    ),
    "final": Row(
        "Accuracy after the last epoch",
        lambda _: (
            "Every arm, the highest validation accuracy on top. The bar is the 95 % interval of the mean over seeds, "
            "on these very images."
        ),
        lambda result: final_measures(result.summaries, result.trials, result.study),
    ),
    "cells-val": Row(
        "Mean validation accuracy by cell",
        lambda _: "What the best arm is chosen by.",
        lambda result: heat_map(result.summaries, result.study, "val_acc"),
        half=True,
    ),
    "cells-test": Row(
        "Mean test accuracy by cell",
        lambda _: "What is reported of it.",
        lambda result: heat_map(result.summaries, result.study, "test_acc"),
        half=True,
    ),
    "accuracy": Row(
        "Accuracy while training",
        lambda _: f"{BAND} A cross is where a trial broke off.",
        lambda result: learning_curves(result.trials, result.epochs, result.study, "acc"),
    ),
    "loss": Row(
        "Loss while training",
        lambda _: (
            f"Mean cross-entropy, in nats. {BAND} Where one explodes, the axis ends at twice the first epoch's median."
        ),
        lambda result: learning_curves(result.trials, result.epochs, result.study, "loss"),
    ),
    "sensitivity": Row(
        "What the result is sensitive to",
        lambda result: (
            f"Share of the variance of validation accuracy between trials. {result.sensitivity.note}".strip()
        ),
        lambda result: axis_importance(result.sensitivity),
    ),
}
"""Every chart, by its id, in the order of a page."""


def make_charts(result: StudyResult) -> list[Chart]:
    """The charts of a study; none if no trial is ok."""
    if not (result.trials["status"] == "ok").any():
        return []
    charts = []
    for key, row in CHARTS.items():
        figure = row.draw(result)
        if figure is None:
            continue
        # Inside <script> the parser looks for nothing but "</script" and "<!--".
        text = figure.to_json().replace("<", "\\u003c")
        heights = (int(figure.layout.height), int(figure.layout.meta["narrow"]["height"]))
        charts.append(Chart(key, row.title, row.caption(result), text, heights, row.half))
    return charts
