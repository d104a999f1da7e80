"""The charts of a study's page, each with its heading and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import plotly.graph_objects as go

from grid.analysis.conclusion import Conclusion
from grid.analysis.family import MARGIN
from grid.analysis.sensitivity import Sensitivity, axis_shares
from grid.formats import quoted
from grid.questions.study import Study
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
class Findings:
    """What charts are made of.

    Attributes:
        trials: Rows of `trials.parquet` of the study.
        epochs: Rows of `epochs.parquet` of these trials.
        study: The study.
        conclusion: What was found.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    study: Study
    conclusion: Conclusion

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """How much each axis matters."""
        return axis_shares(self.trials, self.study)

    @property
    def best(self) -> str:
        """Label of the best arm; empty without one."""
        return "" if self.conclusion.best is None else self.study.arms[self.conclusion.best].label


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
    caption: Callable[[Findings], str]
    draw: Callable[[Findings], go.Figure | None]
    half: bool = False


BAND = "Solid: validation, mean over seeds, with a band from the lowest to the highest seed; dashed: train."

CHARTS: dict[str, Row] = {
    "forest": Row(
        "How far from the best arm",
        lambda found: (
            f"Test accuracy of each arm above that of {quoted(found.best)}, paired by seed and by image, "
            "with its 95 % interval, for it alone. The finding is corrected for all comparisons. Shaded: equal for "
            "most purposes. An arrow: it goes on beyond the axis."
        ),
        lambda found: forest(forest_rows(found.conclusion), found.best, MARGIN),
    ),
    "final": Row(
        "Accuracy after the last epoch",
        lambda _: (
            "Every arm, the highest validation accuracy on top. The bar is the 95 % interval of the mean over seeds."
        ),
        lambda found: final_measures(found.trials, found.study),
    ),
    "cells-val": Row(
        "Mean validation accuracy by cell",
        lambda _: "What the best arm is chosen by.",
        lambda found: heat_map(found.trials, found.study, "val_acc"),
        half=True,
    ),
    "cells-test": Row(
        "Mean test accuracy by cell",
        lambda _: "What is reported of it.",
        lambda found: heat_map(found.trials, found.study, "test_acc"),
        half=True,
    ),
    "accuracy": Row(
        "Accuracy while training",
        lambda _: f"{BAND} A cross is where a trial broke off.",
        lambda found: learning_curves(found.trials, found.epochs, found.study, "acc"),
    ),
    "loss": Row(
        "Loss while training",
        lambda _: (
            f"Mean cross-entropy, in nats. {BAND} Where one explodes, the axis ends at twice the first epoch's median."
        ),
        lambda found: learning_curves(found.trials, found.epochs, found.study, "loss"),
    ),
    "sensitivity": Row(
        "What the result is sensitive to",
        lambda found: f"Share of the variance of validation accuracy between trials. {found.sensitivity.note}".strip(),
        lambda found: axis_importance(found.sensitivity),
    ),
}
"""Every chart, by its id, in the order of a page."""


def make_charts(mine: pd.DataFrame, epochs: pd.DataFrame, study: Study, conclusion: Conclusion) -> list[Chart]:
    """The charts of a study's trials; none if no trial is ok."""
    if not (mine["status"] == "ok").any():
        return []
    found = Findings(mine, epochs[epochs["fingerprint"].isin(mine["fingerprint"])], study, conclusion)
    charts = []
    for key, row in CHARTS.items():
        figure = row.draw(found)
        if figure is None:
            continue
        # Inside <script> the parser looks for nothing but "</script" and "<!--".
        text = figure.to_json().replace("<", "\\u003c")
        heights = (int(figure.layout.height), int(figure.layout.meta["narrow"]["height"]))
        charts.append(Chart(key, row.title, row.caption(found), text, heights, row.half))
    return charts
