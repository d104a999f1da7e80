"""The chart of accuracy over a numeric axis."""

import pytest

from grid.analysis.summaries import arm_summaries
from grid.questions.study import Axis, Study
from grid.report.charts.response import is_logarithmic, lines, numeric_axis, position, response
from tests.grid.constructed import catalogue_plan, drawn, small_study, trials_frame


def axis(*values: float) -> Axis:
    return Axis(field="optimizer.lr", label="rate", values=values, names=tuple(map(str, values)))


def test_a_line_holds_what_differs_in_the_axis_only() -> None:
    study = catalogue_plan("q2").study
    rate = numeric_axis(study)
    assert rate is not None and rate.field == "optimizer.lr"
    found = lines(study, rate)
    assert [line.name for line in found] == ["SGD", "SGD with momentum", "AdaGrad", "Adam"]
    assert found[0].arms == (0, 1, 2, 3, 4)
    assert found[0].x == (0.0005, 0.001, 0.005, 0.01, 0.1)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [((0.001, 0.01, 0.1), True), ((0, 0.001, 0.01, 0.1), True), ((1, 2, 4), False), ((-1, 1, 100, 900), False)],
)
def test_an_axis_over_decades_is_logarithmic_and_zero_has_a_place_on_it(
    values: tuple[float, ...], logarithmic: bool
) -> None:
    assert is_logarithmic(axis(*values)) is logarithmic
    assert position(axis(*values), values[-1]) == values[-1]
    if logarithmic:
        assert 0 < position(axis(0, *values), 0) < min(value for value in values if value)


def test_points_are_means_with_a_bar_over_the_seeds_and_know_their_arm() -> None:
    study = small_study(("a", "b", "c"))
    trials = trials_frame(
        study, {0: [0.5, 0.6, 0.7], 1: [0.8] * 3, 2: [0.4] * 3}, failed={(2, s): "error" for s in range(3)}
    )
    (trace,) = drawn(response(arm_summaries(trials, study), study)).data
    assert list(trace.y[:2]) == pytest.approx([0.6, 0.8]) and trace.y[2] is None
    assert trace.error_y.array[0] == trace.error_y.arrayminus[0] == pytest.approx(0.1)
    assert trace.ids == ("0", "1", "2")


def test_nothing_is_drawn_without_three_values_in_a_line() -> None:
    study: Study = small_study()
    trials = trials_frame(study, {0: [0.5] * 3, 1: [0.6] * 3})
    assert response(arm_summaries(trials, study), study) is None
