"""The charts of a study's page, each with its heading and how it is read."""

from dataclasses import dataclass

import plotly.graph_objects as go

from grid.analysis.family import MARGIN
from grid.analysis.sensitivity import axis_shares
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


def make_charts(result: StudyResult) -> list[Chart]:
    """The charts of a study; none if no trial is ok."""
    if not (result.trials["status"] == "ok").any():
        return []
    charts = [_differences(result), *_final(result), *_curves(result), _sensitivity(result)]
    return [chart for chart in charts if chart]


def _differences(result: StudyResult) -> Chart | None:
    conclusion = result.conclusion
    best = "" if conclusion.best is None else result.study.arms[conclusion.best].label
    return _chart(
        "forest",
        "How far from the best arm",
        f"Test accuracy of each arm above that of {quoted(best)}, paired by seed and by image, with its 95 % interval, "
        "for it alone. The finding is corrected for all comparisons. Shaded: equal for most purposes. An "
        "arrow: it goes on beyond the axis.",
        forest(forest_rows(conclusion), best, MARGIN),
    )


def _final(result: StudyResult) -> list[Chart | None]:
    captions = {"val": "What the best arm is chosen by.", "test": "What is reported of it."}
    return [
        _chart(
            "final",
            "Accuracy after the last epoch",
            "Every arm, the highest validation accuracy on top. The bar is the 95 % interval of the mean over seeds.",
            final_measures(result.summaries, result.trials, result.study),
        ),
        *(
            _chart(
                f"cells-{split}",
                f"Mean {'validation' if split == 'val' else 'test'} accuracy by cell",
                caption,
                heat_map(result.summaries, result.study, f"{split}_acc"),
                half=True,
            )
            for split, caption in captions.items()
        ),
    ]


def _curves(result: StudyResult) -> list[Chart | None]:
    band = "Solid: validation, mean over seeds, with a band from the lowest to the highest seed; dashed: train."
    return [
        _chart(
            "accuracy",
            "Accuracy while training",
            f"{band} A cross is where a trial broke off.",
            learning_curves(result.trials, result.epochs, result.study, "acc"),
        ),
        _chart(
            "loss",
            "Loss while training",
            f"Mean cross-entropy, in nats. {band} Where one explodes, the axis ends at twice the first epoch's median.",
            learning_curves(result.trials, result.epochs, result.study, "loss"),
        ),
    ]


def _sensitivity(result: StudyResult) -> Chart | None:
    sensitivity = axis_shares(result.trials, result.study)
    return _chart(
        "sensitivity",
        "What the result is sensitive to",
        f"Share of the variance of validation accuracy between trials. {sensitivity.note}".strip(),
        axis_importance(sensitivity),
    )


def _chart(key: str, title: str, caption: str, figure: go.Figure | None, *, half: bool = False) -> Chart | None:
    if figure is None:
        return None
    # Inside <script> the parser looks for nothing but "</script" and "<!--".
    text = figure.to_json().replace("<", "\\u003c")
    heights = (int(figure.layout.height), int(figure.layout.meta["narrow"]["height"]))
    return Chart(key, title, caption, text, heights, half)
