"""Chart: how well a smaller budget ranks the arms, so that one sees whether an early stop could have been trusted."""

import math
from typing import Any

from grid.analysis.rankings import Budget
from grid.analysis.study_result import StudyResult
from grid.formats import number
from grid.report.charts.learning import MAX_MARKED_EPOCHS
from grid.report.charts.style import NEUTRAL, QUALITATIVE, Figure, make_figure, scatter, translucent

SERIES = (
    ("full", "the same trials, earlier", QUALITATIVE[0], "solid"),
    ("screening", "the screening, other seeds", QUALITATIVE[1], "6px,3px"),
)


def early_ranking(result: StudyResult) -> Figure | None:
    """Draws Kendall's tau by epoch with its interval; None where there are too few arms or epochs."""
    found = result.budgets
    if max(map(len, found.values())) < 2:
        return None
    traces = [
        trace
        for stage, name, colour, dash in SERIES
        if found[stage]
        for trace in _series(found[stage], name, colour, dash)
    ]
    lowest = min(_ends(budget)[0] for of in found.values() for budget in of)
    both = all(found.values())
    few = max(budget.epoch for of in found.values() for budget in of) <= MAX_MARKED_EPOCHS
    layout = {
        "height": 330,
        "margin": {"l": 50, "r": 12, "t": 56 if both else 12, "b": 48},
        "xaxis": {"title": {"text": "epoch", "standoff": 6}, "tickformat": "d", "zeroline": False}
        | {"dtick": 1 if few else None},
        "yaxis": {"title": {"text": "Kendall's tau", "standoff": 6}, "range": [min(lowest, 0) - 0.05, 1.05]}
        | {"zeroline": True, "zerolinecolor": NEUTRAL},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": both,
    }
    return make_figure(traces, layout, layout)


def early_words(result: StudyResult) -> str:
    """What stopping after half of the epochs would have been worth."""
    found = result.budgets["full"]
    if not found:
        return ""
    half = found[(len(found) - 1) // 2]
    low, high = half.agreement.low, half.agreement.high
    ends = f" ({number(low, 2)} to {number(high, 2)})" if math.isfinite(low) else ""
    return (
        f" After epoch {half.epoch} of {found[-1].epoch}, tau is {number(half.agreement.tau, 2)}{ends}, and the arm "
        f"that ends best has place {half.rank} of {half.num_arms}."
    )


def _ends(budget: Budget) -> tuple[float, float]:
    """The interval, or the value where there is none; 0 where no order is known."""
    tau, low, high = budget.agreement.tau, budget.agreement.low, budget.agreement.high
    tau = 0.0 if math.isnan(tau) else tau
    return (tau, tau) if math.isnan(low) else (low, high)


def _series(found: list[Budget], name: str, colour: str, dash: str) -> list[Any]:
    epochs, ends = [budget.epoch for budget in found], [_ends(budget) for budget in found]
    kept = [2 * budget.rank <= budget.num_arms for budget in found]
    band = scatter(
        x=[*epochs, *epochs[::-1]],
        y=[*(high for _, high in ends), *(low for low, _ in ends[::-1])],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(colour, 0.16),
        hoverinfo="skip",
        showlegend=False,
    )
    line = scatter(
        x=epochs,
        y=[None if math.isnan(budget.agreement.tau) else budget.agreement.tau for budget in found],
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2.2, "dash": dash},
        marker={"symbol": ["circle" if good else "x" for good in kept], "size": 8},
        hovertext=[
            f"epoch {b.epoch}: tau {number(b.agreement.tau, 2)} over {b.num_arms} arms"
            f"<br>the arm that ends best has place {b.rank}"
            for b in found
        ],
        hoverinfo="text",
    )
    return [band, line]
