"""The chart of how much each axis matters."""

import pytest

from grid.analysis.sensitivity import Sensitivity, Term
from grid.report.charts.importance import axis_importance
from tests.grid.constructed import HOSTILE, drawn, texts_of

TERMS = (
    Term("axis", "learning rate", 0.7, 1.0, 4),
    Term("together", "optimizer \N{MULTIPLICATION SIGN} learning rate", 0.297, 0.4, 12),
    Term("axis", "optimizer", 0.0, 0.1, 3),
    Term("seeds", "seeds", 0.003, 0.1, 40),
)


def test_every_term_has_a_bar_in_order_and_says_its_share() -> None:
    figure = drawn(axis_importance(Sensitivity(TERMS, "")))
    bars = {row: (x, text) for bar in figure.data for row, x, text in zip(bar.y, bar.x, bar.text, strict=True)}
    assert bars == {0: (0.7, "70 %"), 1: (0.297, "30 %"), 2: (0.0, "no more than chance"), 3: (0.003, "below 1 %")}
    assert figure.layout.yaxis.ticktext == tuple(term.name for term in TERMS)
    assert figure.layout.yaxis.range == (3.5, -0.5), "the first on top"


def test_axes_what_they_do_together_and_seeds_differ_in_colour_and_are_named() -> None:
    figure = drawn(axis_importance(Sensitivity(TERMS, "")))
    assert [bar.name for bar in figure.data] == ["axes", "together, beyond each alone", "seeds"]
    assert len({bar.marker.color for bar in figure.data}) == 3


def test_one_axis_is_shown_against_the_seeds() -> None:
    figure = drawn(axis_importance(Sensitivity((TERMS[0], TERMS[3]), "")))
    assert [bar.name for bar in figure.data] == ["axes", "seeds"]


def test_a_narrow_page_has_the_names_above_the_bars() -> None:
    narrow = drawn(axis_importance(Sensitivity(TERMS, ""))).layout.meta["narrow"]
    assert [note["text"] for note in narrow["annotations"]] == [term.name for term in TERMS]
    assert not narrow["yaxis"]["showticklabels"]


def test_nothing_is_drawn_where_nothing_can_be_said() -> None:
    assert axis_importance(Sensitivity((), "No arm has results of two seeds.")) is None


@pytest.mark.parametrize("label", [HOSTILE, "%{x}", f"{HOSTILE} " * 9, "w" * 300])
def test_labels_of_axes_are_text_not_html_and_cut_where_too_long(label: str) -> None:
    terms = (Term("axis", label, 0.9, 1.0, 1), TERMS[3])
    figure = drawn(axis_importance(Sensitivity(terms, "")))
    assert not any("<img" in text or "%{x}" in text for text in texts_of(figure))
    assert len(figure.layout.yaxis.ticktext[0].replace("&lt;", "<").replace("&gt;", ">")) <= 60
