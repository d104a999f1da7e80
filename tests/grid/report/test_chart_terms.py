"""Charts are plain data in plotly's terms; plotly itself checks here that it knows them."""

from pathlib import Path
from typing import Any

import pytest

import grid.report.page_charts
from grid.report.charts.style import bar, heatmap, make_figure, scatter
from grid.report.page_charts import CHARTS
from tests.grid.constructed import drawn
from tests.grid.report.test_more_charts import made

LAYOUT = {"height": 300}


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
        drawn(make_figure(traces, LAYOUT, LAYOUT))


@pytest.mark.parametrize("layouts", [({"hight": 1}, {}), ({}, {"hight": 1})], ids=["wide", "narrow"])
def test_so_it_is_in_a_layout(layouts: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        drawn(make_figure([scatter()], LAYOUT | layouts[0], LAYOUT | layouts[1]))


@pytest.mark.parametrize(
    ("layout", "rows", "missing"),
    [
        ({}, (), "height"),
        ({"height": 1, "yaxis": {"range": [1, 0]}}, (0, 1), "row_height, ticktext, tickvals"),
        ({"height": 1}, (0, 1), "range, row_height, ticktext, tickvals"),
    ],
)
def test_what_the_pages_script_needs_to_take_rows_out_is_asked_for(
    layout: dict[str, Any], rows: tuple[int, ...], missing: str
) -> None:
    with pytest.raises(ValueError, match=f"wide layout of a chart lacks {missing}$"):
        make_figure([scatter()], layout, layout, rows=rows)


def test_every_file_of_charts_is_drawn_from() -> None:
    page_charts = Path(grid.report.page_charts.__file__)
    files = [*page_charts.parent.glob("charts/*.py"), page_charts]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in files}
    for name in texts.keys() - {"__init__", "page_charts"}:
        users = [of for of, text in texts.items() if of != name and f"charts.{name} import" in text]
        assert users, f"{name}: its chart has no row in CHARTS"
