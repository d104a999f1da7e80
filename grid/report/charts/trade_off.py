"""Chart: accuracy against what an arm costs, in time and in parameters, with the arms that nothing beats in both."""

import math
from typing import Any

import pandas as pd

from grid.analysis.rankings import pareto_front
from grid.analysis.study_result import StudyResult
from grid.formats import count, duration, percent
from grid.report.charts.response import LOG_RATIO
from grid.report.charts.style import NEUTRAL, QUALITATIVE, Figure, Trace, make_figure, plain, scatter

COSTS = (("wall_s", "seconds that a trial takes", duration), ("num_parameters", "parameters", count))
HEIGHT, GAP = 300, 0.12
MAX_NAMED = 6
"""Arms of a front that its caption names."""


def trade_off(result: StudyResult) -> Figure | None:
    """Draws a panel a cost that differs between arms; None without three arms that have results."""
    shown = result.summaries[result.summaries["ok"] > 0]
    costs = _costs(shown)
    if len(shown) < 3 or not costs:
        return None
    traces = [trace for panel, cost in enumerate(costs) for trace in _panel(shown, cost, panel)]
    return make_figure(traces, _layout(shown, costs, wide=True), _layout(shown, costs, wide=False))


def front_words(result: StudyResult) -> str:
    """Names the arms of each front by their numbers."""
    shown = result.summaries[result.summaries["ok"] > 0]
    said = []
    for field, title, _ in _costs(shown):
        front = [f"{n} {shown['label'][arm]}" for n, arm in enumerate(_front(shown, field), 1)]
        more = f" and {len(front) - MAX_NAMED} more" if len(front) > MAX_NAMED else ""
        said.append(f"{title}: {'; '.join(front[:MAX_NAMED])}{more}")
    return ". By ".join(said)


def _costs(shown: pd.DataFrame) -> list[tuple[str, str, Any]]:
    return [cost for cost in COSTS if shown[cost[0]].nunique() > 1]


def _front(rows: pd.DataFrame, cost: str) -> list[int]:
    return [int(rows["arm"].iloc[place]) for place in pareto_front(rows[cost], rows["test_acc_mean"])]


def _panel(shown: pd.DataFrame, cost: tuple[str, str, Any], panel: int) -> list[Trace]:
    field, _, in_words = cost
    rows = shown.set_index("arm")
    front = _front(shown, field)
    axes = {"xaxis": f"x{panel + 1}", "yaxis": f"y{panel + 1}"}
    others = [int(arm) for arm in rows.index if arm not in front]

    def points(arms: list[int], **look: Any) -> Trace:
        hover = [
            f"<b>{plain(str(rows['label'][arm]), 40)}</b><br>test accuracy {percent(rows['test_acc_mean'][arm])}, "
            f"{in_words(rows[field][arm])}{'' if in_words is duration else ' parameters'}"
            for arm in arms
        ]
        x, y = (rows.loc[arms, name].to_list() for name in (field, "test_acc_mean"))
        ids = [str(arm) for arm in arms]
        return scatter(x=x, y=y, ids=ids, hovertext=hover, hoverinfo="text", showlegend=panel == 0, **look, **axes)

    return [
        points(
            others, mode="markers", name="other arms", marker={"color": NEUTRAL, "symbol": "circle-open", "size": 8}
        ),
        points(
            front,
            mode="lines+markers+text",
            name="Pareto front: no arm is better in both",
            text=[str(number) for number in range(1, len(front) + 1)],
            textposition="top center",
            textfont={"size": 11},
            cliponaxis=False,
            line={"color": QUALITATIVE[0], "width": 2, "shape": "hv"},
            marker={"symbol": "diamond", "size": 10},
        ),
    ]


def _layout(shown: pd.DataFrame, costs: list[tuple[str, str, Any]], *, wide: bool) -> dict[str, Any]:
    """Panels beside each other, on a narrow page below."""
    num = len(costs)
    rows = 1 if wide else num
    layout: dict[str, Any] = {
        "height": rows * HEIGHT + (rows - 1) * 40 + 60,
        "margin": {"l": 54, "r": 30, "t": 44 if wide else 60, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": True,
    }
    accuracy = shown["test_acc_mean"]
    room = 0.08 * (accuracy.max() - accuracy.min()) or 0.01
    for panel, (field, title, _) in enumerate(costs):
        size = (1 - GAP * (num - 1)) / num
        place = [panel * (size + GAP), panel * (size + GAP) + size]
        log = shown[field].max() > LOG_RATIO * shown[field].min() > 0
        layout[f"xaxis{panel + 1}"] = {
            "type": "log" if log else "linear",
            "title": {"text": title, "standoff": 6},
            "zeroline": False,
            **(_log_ticks(shown[field]) if log else {}),
            "domain": place if wide else [0, 1],
            "anchor": f"y{panel + 1}",
        }
        layout[f"yaxis{panel + 1}"] = {
            "tickformat": "~%",
            "automargin": True,
            "title": {"text": "test accuracy", "standoff": 6},
            "zeroline": False,
            "domain": [0, 1] if wide else [1 - place[1], 1 - place[0]],
            "range": [float(accuracy.min() - room), float(accuracy.max() + 1.5 * room)],
            "anchor": f"x{panel + 1}",
        }
    return layout


def _log_ticks(values: "pd.Series[float]") -> dict[str, Any]:
    """Ticks at 1, 2 and 5 of each decade that is on the axis; plotly's own are of different sizes."""
    powers = range(math.floor(math.log10(values.min())), math.ceil(math.log10(values.max())) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    scale = [next((s, unit) for s, unit in ((1e6, "M"), (1e3, "k"), (0, "")) if tick >= s) for tick in ticks]
    names = [f"{tick / (size or 1):g}{unit}" for tick, (size, unit) in zip(ticks, scale, strict=True)]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": names}
