"""Charts are plain data in plotly's terms; plotly itself checks here that it knows them."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from grid.report.charts.style import bar, heatmap, make_figure, scatter
from grid.report.page_charts import CHARTS
from tests.grid.report.test_more_charts import made


def check(figure: go.Figure) -> None:
    """Refuses what plotly does not know.

    Raises:
        ValueError: It is in one of the figure's traces or layouts.
    """
    known = go.Figure(figure.to_plotly_json())
    go.Layout(known.layout.meta["narrow"])


def test_plotly_knows_every_property_of_every_chart(tmp_path: Path) -> None:
    drawn = set()
    for question in ("q1", "q2", "q4"):
        result = made(tmp_path / question, question)
        for key, row in CHARTS.items():
            if (figure := row.draw(result)) is not None:
                check(figure)
                drawn.add(key)
    assert drawn == CHARTS.keys()


@pytest.mark.parametrize("traces", [[scatter(lines={})], [bar(x=[1], colour="red")], [heatmap(y="x")]])
def test_what_plotly_does_not_know_is_noticed(traces: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        check(make_figure(traces, {}, {}))


@pytest.mark.parametrize("layouts", [({"hight": 1}, {}), ({}, {"hight": 1})], ids=["wide", "narrow"])
def test_so_it_is_in_a_layout(layouts: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        check(make_figure([scatter()], *layouts))
