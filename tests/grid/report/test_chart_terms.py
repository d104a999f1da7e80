"""Charts are plain data in plotly's terms; plotly itself checks here that it knows them."""

from pathlib import Path
from typing import Any

import pytest

from grid.report.charts.style import bar, heatmap, make_figure, scatter
from grid.report.page_charts import CHARTS
from tests.grid.constructed import drawn
from tests.grid.report.test_more_charts import made


def test_plotly_knows_every_property_of_every_chart(tmp_path: Path) -> None:
    seen = set()
    for question in ("q1", "q2", "q4"):
        result = made(tmp_path / question, question)
        for key, row in CHARTS.items():
            if (figure := row.draw(result)) is not None:
                drawn(figure)
                seen.add(key)
    assert seen == CHARTS.keys()


@pytest.mark.parametrize("traces", [[scatter(lines={})], [bar(x=[1], colour="red")], [heatmap(y="x")]])
def test_what_plotly_does_not_know_is_noticed(traces: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        drawn(make_figure(traces, {}, {}))


@pytest.mark.parametrize("layouts", [({"hight": 1}, {}), ({}, {"hight": 1})], ids=["wide", "narrow"])
def test_so_it_is_in_a_layout(layouts: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        drawn(make_figure([scatter()], *layouts))
