"""The chart of all arms against the best one."""

import math

import plotly.graph_objects as go
import pytest

from grid.report.charts.forest import LOOKS, ForestRow, axis_range, forest
from tests.grid.constructed import HOSTILE, drawn, texts_of

MARGIN = 0.005


def row(label: str, difference: float, half: float, finding: str = "open") -> ForestRow:
    return ForestRow(0, label, difference, difference - half, difference + half, 5, finding)


BETTER = row("better", 0.02, 0.01, "better")
EQUAL = row("equal", -0.001, 0.002, "equal")
OPEN = row("open", -0.004, 0.01)
WORSE = row("worse", -0.03, 0.012, "worse")
ONE_SEED = ForestRow(0, "one seed", -0.01, None, None, 1, "untested", "there is one seed only")
DIVERGED = ForestRow(0, "diverged", None, None, None, 0, "untested", "diverged on 3 of 3 seeds")
ALL = [DIVERGED, WORSE, OPEN, ONE_SEED, BETTER, EQUAL]
ORDER = ("better", "equal", "open", "one seed", "worse", "diverged")


def points(figure: go.Figure, name: str) -> list[tuple[float, float]]:
    (trace,) = (trace for trace in figure.data if trace.name == name)
    return list(zip(trace.x, trace.y, strict=True))


def notes(figure: go.Figure) -> dict[str, float]:
    return {note.text: note.y for note in figure.layout.annotations}


def test_arms_stand_by_their_difference_and_those_without_one_last() -> None:
    figure = drawn(forest(ALL, MARGIN))
    assert figure.layout.yaxis.ticktext == ORDER
    assert figure.layout.yaxis.range == (5.5, -0.5), "the first on top"
    assert points(figure, "better") == [(pytest.approx(2), 0)], "in points"
    assert points(figure, "worse") == [(pytest.approx(-3), 4)]


def test_a_finding_has_a_symbol_and_a_colour_of_its_own() -> None:
    figure = drawn(forest(ALL, MARGIN))
    looks = {trace.name: (trace.marker.symbol, trace.marker.color) for trace in figure.data if trace.name}
    found = [looks[look.name] for look in LOOKS.values()]
    assert len({symbol for symbol, _ in found}) == len({colour for _, colour in found}) == len(LOOKS)


def test_intervals_are_lines_from_end_to_end() -> None:
    figure = drawn(forest(ALL, MARGIN))
    lines = [(trace.x[0], trace.x[1]) for trace in figure.data if trace.mode == "lines" and math.isfinite(trace.x[0])]
    assert lines == [pytest.approx(ends) for ends in ((1, 3), (-0.3, 0.1), (-1.4, 0.6), (-4.2, -1.8))]


def test_numbers_stand_beside_every_arm_and_say_why_there_are_none() -> None:
    figure = drawn(forest(ALL, MARGIN))
    minus = "\N{MINUS SIGN}"
    assert notes(figure) == {
        "+2.0 (1.0 to 3.0)": 0,
        f"{minus}0.1 ({minus}0.3 to 0.1)": 1,
        f"{minus}0.4 ({minus}1.4 to 0.6)": 2,
        f"{minus}1.0, 1 seed": 3,
        f"{minus}3.0 ({minus}4.2 to {minus}1.8)": 4,
        "diverged on 3 of 3 seeds": 5,
    }


def test_numbers_of_any_length_have_room_beside_the_axis() -> None:
    far = row("far", -0.559, 0.29)
    margins = [drawn(forest([of, OPEN], MARGIN)).layout.margin.r for of in (far, WORSE)]
    assert margins[0] - margins[1] == 7 * (len("-55.9 (-84.9 to -26.9)") - len("-3.0 (-4.2 to -1.8)"))


def test_a_narrow_page_has_labels_and_differences_above_the_marks() -> None:
    narrow = drawn(forest(ALL, MARGIN)).layout.meta["narrow"]
    texts = [note["text"] for note in narrow["annotations"]]
    assert texts[:2] == ["better", "+2.0"]
    assert texts[-2:] == ["diverged", "diverged on 3 of 3 seeds"]
    assert not narrow["yaxis"]["showticklabels"]
    above = [note["y"] for note in narrow["annotations"] if note["text"] in ORDER]
    assert above == pytest.approx([position - 0.38 for position in range(6)])


def test_the_margin_is_a_band_around_the_line_at_zero() -> None:
    figure = drawn(forest(ALL, MARGIN))
    *_, band, zero = figure.layout.shapes
    assert (band.x0, band.x1, zero.x0, zero.x1) == (-0.5, 0.5, 0, 0)
    assert figure.data[0].name == "±0.5 points"


def test_hovering_says_everything() -> None:
    figure = drawn(forest(ALL, MARGIN))
    (untested,) = (trace for trace in figure.data if trace.name == "not tested")
    assert untested.hovertext == (
        "<b>one seed</b><br>\N{MINUS SIGN}1.0 points<br>1 seed<br>not tested<br>there is one seed only",
    )


def test_the_axis_holds_everything_where_nothing_is_far() -> None:
    low, high = axis_range(ALL, MARGIN)
    assert -4.6 < low < -4.2
    assert 3.0 < high < 3.4


def test_the_axis_always_holds_the_margin() -> None:
    low, high = axis_range([row("a", 0.0001, 0.0001)], MARGIN)
    assert low <= -0.75
    assert high >= 0.75


def test_one_wide_interval_does_not_squash_the_rest_and_an_arrow_says_that_it_goes_on() -> None:
    rows = [BETTER, EQUAL, OPEN, row("wide", -0.01, 0.4)]
    low, high = axis_range(rows, MARGIN)
    assert -6 < low < high < 6
    figure = drawn(forest(rows, MARGIN))
    (arrows,) = (trace for trace in figure.data if trace.name == "beyond the axis")
    assert list(zip(arrows.y, arrows.marker.symbol, strict=True)) == [(3, "triangle-left"), (3, "triangle-right")]
    assert all(low < x < high for x in arrows.x)
    assert arrows.marker.color == (LOOKS["open"].colour,) * 2
    assert "\N{MINUS SIGN}1.0 (\N{MINUS SIGN}41.0 to 39.0)" in notes(figure), "its numbers are not cut"


def test_an_arm_far_from_all_others_is_an_arrow_too() -> None:
    rows = [row(str(arm), -0.01 * arm, 0.01) for arm in range(8)] + [row("hopeless", -0.6, 0.01, "worse")]
    assert axis_range(rows, MARGIN)[0] > -15
    figure = drawn(forest(rows, MARGIN))
    (arrows,) = (trace for trace in figure.data if trace.name == "beyond the axis")
    assert (arrows.y, arrows.marker.symbol) == ((8,), ("triangle-left",))


def test_two_arms_that_are_both_far_are_both_on_the_axis() -> None:
    rows = [row("near", -0.01, 0.01), row("far", -0.3, 0.03, "worse")]
    assert axis_range(rows, MARGIN)[0] < -33
    assert "beyond the axis" not in [trace.name for trace in drawn(forest(rows, MARGIN)).data]


@pytest.mark.parametrize("num_arms", [1, 20, 100])
def test_every_arm_has_the_same_room(num_arms: int) -> None:
    figure = drawn(forest([row(str(arm), -0.001 * arm, 0.01) for arm in range(num_arms)], MARGIN))
    for layout, pixels in ((figure.layout.to_plotly_json(), 34), (figure.layout.meta["narrow"], 50)):
        body = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
        assert body == num_arms * pixels


@pytest.mark.parametrize("rows", [[], [DIVERGED], [DIVERGED, ForestRow(0, "b", math.nan, None, None, 0, "untested")]])
def test_nothing_is_drawn_without_a_difference(rows: list[ForestRow]) -> None:
    assert forest(rows, MARGIN) is None


def test_numbers_that_do_not_exist_leave_the_rest_as_it_is() -> None:
    rows = [OPEN, ForestRow(0, "nan", -0.01, math.nan, math.nan, 2, "open"), row("same", 0, 0, "equal")]
    assert axis_range(rows, MARGIN) == axis_range([OPEN, row("nan", -0.01, 0)], MARGIN)
    assert "NaN" not in drawn(forest(rows, MARGIN)).to_json()


@pytest.mark.parametrize("label", [HOSTILE, "a < b & c", "%{x} %{meta[0]}", f"{HOSTILE} " * 9, "w" * 300])
def test_labels_and_notes_are_text_not_html_and_cut_where_too_long(label: str) -> None:
    rows = [row(label, -0.01, 0.02), ForestRow(0, label, None, None, None, 0, "untested", label)]
    figure = drawn(forest(rows, MARGIN))
    assert not any("<img" in text or "%{" in text or "a < b" in text for text in texts_of(figure))
    assert len(figure.layout.yaxis.ticktext[0].replace("&lt;", "<").replace("&gt;", ">").replace("&#123;", "{")) <= 60
