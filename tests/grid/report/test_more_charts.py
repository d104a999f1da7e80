"""The charts of trade-offs, classes, confidence and early ranking, read from the figures without rendering them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.analysis.study_result import StudyResult, study_results
from grid.analysis.tallies import overlap
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.report.charts.budgets import early_ranking, early_words
from grid.report.charts.disagreement import disagreement, overlaps
from grid.report.charts.one_arm import arms_to_choose, confidence_words, confusion, hardest, reliability
from grid.report.charts.parallel import lines, parallel
from grid.report.charts.style import plain
from grid.report.charts.trade_off import front_words, trade_off
from grid.report.page_charts import CHARTS, make_charts
from grid.tables.tables import make_tables
from grid.tables.tallies import tally
from tests.grid.constructed import HOSTILE, catalogue_plan, drawn, fill_ledger, texts_of


def made(folder: Path, question: str) -> StudyResult:
    plan = catalogue_plan(question)
    ledger = Ledger(Folder(folder).below("ledger"))
    fill_ledger(plan, ledger)
    return study_results([plan], make_tables([plan], ledger))[0]


@pytest.fixture(scope="module")
def q1(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The architecture question: 17 arms on five axes, 3 seeds."""
    return made(tmp_path_factory.mktemp("q1"), "q1")


def changed(result: StudyResult, **fields: Any) -> StudyResult:
    return StudyResult(**{name: getattr(result, name) for name in StudyResult.__dataclass_fields__} | fields)


def test_lines_cross_each_axis_at_their_value_and_end_at_their_accuracy(q1: StudyResult) -> None:
    found, ticks = lines(q1)
    accuracy = q1.summaries["test_acc_mean"]
    assert len(found) == 17 and len(ticks) == len(q1.study.axes) + 1
    ends = {line.arm: line.heights[-1] for line in found}
    assert min(ends.values()) == 0 and max(ends.values()) == 1
    assert ends[int(str(accuracy.idxmax()))] == 1
    best = drawn(parallel(q1)).data[-1]
    assert best.uid == f"arm{q1.conclusion.best}-line" and best.line.width > 2, "told apart without its colour"


def test_there_are_no_lines_over_two_axes(tmp_path: Path) -> None:
    assert parallel(made(tmp_path, "q4")) is None


def test_the_front_is_drawn_over_each_cost_that_differs(q1: StudyResult) -> None:
    cheap = q1.summaries.assign(num_parameters=1000 * (1 + q1.summaries["arm"] % 3), wall_s=5.0)
    others, front = drawn(trade_off(changed(q1, summaries=cheap))).data
    assert len(others.ids) + len(front.ids) == 17
    assert list(front.x) == sorted(front.x) and list(front.y) == sorted(front.y)
    assert trade_off(changed(q1, summaries=cheap.assign(num_parameters=1000))) is None
    assert q1.study.arms[int(str(q1.summaries["test_acc_mean"].idxmax()))].label in front_words(q1)


def test_classes_of_each_arm_add_up_to_all_its_answers(q1: StudyResult) -> None:
    figure = drawn(confusion(q1))
    arms = arms_to_choose(q1)
    assert next(iter(arms)) == q1.conclusion.best
    assert [arm for arm, _ in figure.layout.meta["choose"]] == list(arms) and len(arms) == 17
    cells, classes = figure.data[:2]
    assert cells.uid == f"arm{q1.conclusion.best}-cells"
    assert np.sum(cells.customdata) == sum(each.confusion.sum() for each in q1.tallies[next(iter(arms))])
    assert np.allclose(classes.x, np.diag(np.asarray(cells.z)), atol=1e-3)


def test_of_many_classes_the_hardest_are_shown() -> None:
    right = np.arange(25)
    right[3] = 100
    assert hardest([np.diag(right)]) == [0, 1, 2, *range(4, 21)]


def test_confidence_is_drawn_for_trials_that_kept_it_and_the_others_are_counted(q1: StudyResult) -> None:
    answers = dict(q1.answers)
    old = str(q1.trials[q1.trials["status"] == "ok"]["fingerprint"].iloc[0])
    answers[old] = tally([0, 1], [0, 1])
    result = changed(q1, answers=answers)
    assert "1 trial of an older version" in confidence_words(result)
    assert "older version" not in confidence_words(q1)
    diagonal, line, *_ = drawn(reliability(result)).data
    assert list(diagonal.x) == list(diagonal.y)
    assert "ECE" in line.name and "3 seeds" in line.name
    figure = drawn(reliability(changed(q1, answers={key: tally([0, 1], [0, 1]) for key in answers})))
    assert any("kept no confidence" in text for text in texts_of(figure)), "none kept it"


def test_any_two_arms_are_compared_over_the_seeds_that_both_have(q1: StudyResult) -> None:
    evidence = q1.conclusion.judgement.evidence
    arms = evidence.contest()
    fewer = dataclasses.replace(
        evidence, num_seeds=tuple(1 if arm == arms[0] else 2 for arm in range(len(evidence.arms)))
    )
    for of in (evidence, fewer):
        found = overlaps(of, arms)
        for first, second in ((0, 1), (1, 0), (3, 2)):
            seeds = of.seeds(arms[first], arms[second])
            answers = (of.answers(arms[place], seeds) for place in (first, second))
            assert np.allclose(found[first, second], overlap(*answers))
        itself = of.answers(arms[1], of.seeds(arms[1]))
        assert np.allclose(found[1, 1], overlap(itself, np.roll(itself, 1, axis=0))), "what another seed changes"
    assert np.isnan(found[0, 0]).all(), "it has no other seed"


def test_each_arm_can_be_chosen_and_has_a_row(q1: StudyResult) -> None:
    figure = drawn(disagreement(q1))
    arms = figure.layout.meta["rows"]
    assert [arm for arm, _ in figure.layout.meta["choose"]] == arms and arms[0] == q1.conclusion.best
    assert [trace.uid for trace in figure.data[:2]] == [f"arm{arms[0]}-beside{part}" for part in (1, 2)]
    first, second = (trace.x[1] for trace in figure.data[:2])
    assert (second, first) == tuple(trace.x[0] for trace in figure.data[2:4]), "seen from the other"
    assert len(figure.data) == 2 * len(arms)


def test_an_early_order_is_said_in_words_too(q1: StudyResult) -> None:
    band, line = drawn(early_ranking(q1)).data
    epochs = sorted(q1.epochs["epoch"].unique())
    assert list(line.x) == epochs and len(band.x) == 2 * len(epochs)
    assert set(line.marker.symbol) <= {"circle", "x"}
    assert f"of {epochs[-1]}, tau is" in early_words(q1)


def test_what_is_not_the_answer_is_folded(q1: StudyResult) -> None:
    folded = [chart.key for chart in make_charts(q1) if chart.folded]
    assert folded == [key for key, row in CHARTS.items() if row.folded]
    assert all(CHARTS[key].caption(q1) for key in folded)


def test_a_button_never_stands_for_one_row(q1: StudyResult, tmp_path: Path) -> None:
    first = make_charts(q1)[0]
    assert first.key == "forest" and first.top == (8, 5), "16 rows, and a button for the rest"
    chart = make_charts(made(tmp_path, "q8"))[0]
    assert chart.key == "forest" and chart.top == (9, 5), "9 rows: the button would take as much room as the last"


def test_labels_reach_these_charts_as_text(q1: StudyResult) -> None:
    arms = tuple(arm.model_copy(update={"label": f"{HOSTILE} {i}"}) for i, arm in enumerate(q1.study.arms))
    axes = tuple(axis.model_copy(update={"label": HOSTILE}) for axis in q1.study.axes)
    study = q1.study.model_copy(update={"arms": arms, "axes": axes})
    summaries = q1.summaries.assign(label=[arm.label for arm in arms])
    hostile = changed(q1, plan=q1.plan.model_copy(update={"study": study}), summaries=summaries)
    figures = [figure for row in CHARTS.values() if (figure := row.draw(hostile)) is not None]
    assert len(figures) > len(CHARTS) / 2
    for figure in figures:
        assert not any("<img" in text for text in texts_of(drawn(figure)))
    assert plain(HOSTILE) in "".join(texts_of(drawn(parallel(hostile))))
