"""Chart: the final measures of all arms, every seed a point, with the mean and its interval."""

from typing import Any

import pandas as pd

from grid.analysis.summaries import ranking, shown_trials
from grid.formats import cut, status_words
from grid.questions.measures import MEASURES
from grid.questions.study import Study
from grid.records.status import STATUSES
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
)

ROW = {"wide": 44, "narrow": 66}
"""Pixels an arm."""
SHOWN = (
    ("test_acc", QUALITATIVE[0], "circle", -0.14),
    ("val_acc", QUALITATIVE[1], "diamond-open", 0.1),
    ("train_acc", NEUTRAL, "square-open", 0.28),
)
"""What is shown of an arm: measure, colour, symbol, and how far below the middle of its row."""


def final_measures(summaries: pd.DataFrame, trials: pd.DataFrame, study: Study) -> Figure | None:
    """Draws all arms, the highest mean validation accuracy on top; None if no trial is ok.

    Arms without results keep their row, and every trial that is not ok is named in it.
    """
    if not summaries["ok"].any():
        return None
    order = ranking(summaries)
    ordered = summaries.loc[order]
    rows = {arm: row for row, arm in enumerate(order)}
    traces: list[Trace] = []
    for measure, colour, symbol, shift in SHOWN:
        if measure == "test_acc":
            traces.append(_seeds(trials, study, rows, colour, shift))
        traces.append(_means(ordered, study, measure, {"color": colour, "symbol": symbol}, shift))
    lines = [
        (plain(cut(str(label), 56)), failures(row))
        for label, (_, row) in zip(ordered["label"], ordered.iterrows(), strict=True)
    ]
    reasons = [plain(str(reason).replace("\n", "; "), 60) for reason in ordered["reasons"]]
    wide, narrow = (_layout(ordered, lines, reasons, form) for form in ("wide", "narrow"))
    return make_figure(traces, wide, narrow, rows=order, row_height=ROW)


def failures(summary: "pd.Series[Any]") -> str:
    """What became of an arm's trials that are not ok, a status a line: `diverged 2/3`; empty if all are ok."""
    counts = {status: int(summary[status]) for status in STATUSES if status != "ok"}
    return "<br>".join(
        f"{status_words(status)} {count}/{int(summary['planned'])}" for status, count in counts.items() if count
    )


def accuracy_range(summaries: pd.DataFrame) -> list[float]:
    """From where to where the axis goes: all seeds and intervals, but for what of an interval no accuracy can reach."""
    ends = [f"{measure}_{end}" for measure, *_ in SHOWN for end in ("min", "max")]
    shown = summaries[[*ends, "test_acc_low", "test_acc_high"]].clip(0, 1)
    lowest, highest = float(shown.min().min()), float(shown.max().max())
    margin = max(0.03 * (highest - lowest), 0.005)
    return [lowest - margin, highest + margin]


def _seeds(trials: pd.DataFrame, study: Study, rows: dict[int, int], colour: str, shift: float) -> Trace:
    mine = shown_trials(trials, study)
    ok = mine[(mine["status"] == "ok") & (mine["stage"] == "full")]
    return scatter(
        x=ok["test_acc"].to_list(),
        y=[rows[arm] + shift for arm in ok["arm"]],
        mode="markers",
        marker={"color": colour, "size": 8, "opacity": 0.35},
        name="a seed on test",
        hovertext=[f"<b>{plain(study.arms[arm].label, 40)}</b>" for arm in ok["arm"]],
        customdata=ok["seed"].to_list(),
        ids=[f"{arm}:{seed}" for arm, seed in zip(ok["arm"], ok["seed"], strict=True)],
        hovertemplate="%{hovertext}<br>seed %{customdata}: test accuracy %{x:.1%}<extra></extra>",
    )


def _means(ordered: pd.DataFrame, study: Study, measure: str, marker: dict[str, Any], shift: float) -> Trace:
    """The mean of a measure in each row; on test with the interval, which is what the answer is about."""
    shown = [(row, arm) for row, arm in enumerate(ordered["arm"]) if ordered.loc[arm, f"{measure}_n"] > 0]
    mean = [float(ordered.loc[arm, f"{measure}_mean"]) for _, arm in shown]
    half = (ordered[f"{measure}_high"] - ordered[f"{measure}_mean"]).fillna(0)
    is_test = measure == "test_acc"
    row = MEASURES[measure]
    return scatter(
        x=mean,
        y=[row + shift for row, _ in shown],
        mode="markers",
        name=f"{row.part}: mean and 95 % interval" if is_test else f"{row.part}: mean",
        marker=marker | {"size": 10 if is_test else 8},
        error_x={
            "array": [float(half[arm]) for _, arm in shown],
            "color": marker["color"],
            "thickness": 1.8,
            "width": 5,
        }
        if is_test
        else None,
        customdata=[int(ordered.loc[arm, f"{measure}_n"]) for _, arm in shown],
        ids=[str(arm) for _, arm in shown],
        hovertext=[f"<b>{plain(study.arms[arm].label, 40)}</b>" for _, arm in shown],
        hovertemplate=f"%{{hovertext}}<br>{row.words} %{{x:.1%}}, mean of %{{customdata}} seeds<extra></extra>",
    )


def _layout(ordered: pd.DataFrame, lines: list[tuple[str, str]], reasons: list[str], form: str) -> dict[str, Any]:
    """Labels stand left of the rows on a wide page and above them on a narrow one."""
    wide = form == "wide"
    body = len(lines) * ROW[form]
    top, bottom = 56 if wide else 100, 48
    annotations = []
    for row, (label, failed) in enumerate(lines):
        place = {"xref": "paper", "yref": "y", "yanchor": "middle", "y": row if wide else row - 0.36}
        if not wide:
            annotations.append(note(label, x=0, xanchor="left", font={"size": 11}, **place))
        if failed:
            text = failed if wide else failed.replace("<br>", ", ")
            where = {"x": 1.01, "xanchor": "left", "align": "left"} if wide else {"x": 1, "xanchor": "right"}
            style = {"font": {"color": FAILURE, "size": 12 if wide else 11}, "hovertext": reasons[row]}
            annotations.append(note(text, **place, **where, **style))
    return {
        "height": body + top + bottom,
        "margin": {"l": 12, "r": 110 if wide else 12, "t": top, "b": bottom},
        "annotations": annotations,
        "shapes": [stripe(row - 0.5) for row in range(0, len(lines), 2)],
        "xaxis": {
            "range": accuracy_range(ordered),
            "tickformat": "~%",
            "title": {"text": "accuracy", "standoff": 8},
            "zeroline": False,
            "side": "bottom",
        },
        "yaxis": {
            "range": [len(lines) - 0.5, -0.5],
            "tickmode": "array",
            "tickvals": list(range(len(lines))),
            "ticktext": [label for label, _ in lines],
            "showticklabels": wide,
            "automargin": True,
            "zeroline": False,
            "showgrid": False,
            "ticklabelstandoff": 8,
        },
        "legend": {"orientation": "h", "x": 0, "y": 1 + 8 / body, "yanchor": "bottom", "traceorder": "normal"},
        "showlegend": True,
    }
