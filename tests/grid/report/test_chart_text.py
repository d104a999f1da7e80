"""Labels and reasons come from users' files and from errors: what plotly is given must be text, never HTML."""

import pytest

from grid.analysis.summaries import arm_summaries
from grid.report.charts import final_measures, heat_map, learning_curves
from grid.report.charts.style import plain, ramp
from tests.grid.constructed import HOSTILE, catalogue_plan, drawn, epochs_frame, small_study, texts_of, trials_frame


def test_ramp_goes_from_end_to_end() -> None:
    assert ramp(2) == [ramp(5)[0], ramp(5)[-1]]
    assert len(set(ramp(7))) == 7
    assert len(ramp(1)) == 1


@pytest.mark.parametrize("label", [HOSTILE, "a < b & c", "%{x} %{meta[0]}", '<a href="javascript:alert(1)">x</a>'])
def test_labels_reach_plotly_as_text_not_as_html(label: str) -> None:
    assert "<" not in plain(label)
    assert "%{" not in plain(label)
    study = small_study((label, "other"))
    failed = {(0, 0): "diverged"}
    trials = trials_frame(study, {0: [0.5] * 3, 1: [0.6] * 3}, failed=failed).replace("diverged on purpose", label)
    epochs = epochs_frame(trials)
    for figure in (final_measures(arm_summaries(trials, study), trials, study), learning_curves(trials, epochs, study)):
        texts = texts_of(drawn(figure))
        assert plain(label) in "\n".join(texts)
        assert not any(label in text for text in texts)


def test_hostile_names_of_values_do_not_reach_a_heat_map_as_html() -> None:
    study = catalogue_plan("q2").study
    trials = trials_frame(study, {arm: [0.5] * 3 for arm in range(20)})
    axes = tuple(axis.model_copy(update={"names": (HOSTILE, *axis.names[1:]), "label": HOSTILE}) for axis in study.axes)
    figure = drawn(heat_map(arm_summaries(trials, study), study.model_copy(update={"axes": axes})))
    assert not any("<img" in text for text in texts_of(figure))
    assert any("&lt;img" in text for text in texts_of(figure))


def test_long_text_is_broken_into_lines_before_it_is_escaped() -> None:
    assert plain("one & two three", 9) == "one &amp; two<br>three"
