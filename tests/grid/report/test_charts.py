"""What the charts show, read from the figures without rendering them."""

import itertools
import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from grid.analysis.summaries import arm_summaries, curves
from grid.questions.claims import Claim
from grid.questions.study import Axis, Study
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.report.charts import final_measures, has_heat_map, heat_map, learning_curves
from grid.report.charts.cells import make_cells
from grid.report.charts.grouping import group_arms
from grid.report.charts.learning import beside_each_other, curveless, early_ends, loss_ceiling
from grid.tables.tables import make_tables
from tests.grid.constructed import catalogue_plan, drawn, epochs_frame, fill_ledger, small_study, texts_of, trials_frame

DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def q2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, pd.DataFrame, pd.DataFrame]:
    """The optimizer question: 20 arms, 3 seeds, some diverged, one failed, one not run."""
    return tables_of(tmp_path_factory.mktemp("q2"))


def tables_of(folder: Path) -> tuple[Study, pd.DataFrame, pd.DataFrame]:
    plan = catalogue_plan("q2")
    ledger = Ledger(Folder(folder).below("ledger"))
    fill_ledger(plan, ledger)
    tables = make_tables([plan], ledger)
    return plan.study, tables["trials"].to_pandas(), tables["epochs"].to_pandas()


def test_many_arms_are_spread_over_panels_by_the_first_axis_and_colours_by_the_second(q2: Any) -> None:
    grouping = group_arms(q2[0])
    assert grouping.panels == ("SGD", "SGD with momentum", "AdaGrad", "Adam")
    assert grouping.series == ("0.0005", "0.001", "0.005", "0.01", "0.1")
    assert grouping.title == "learning rate"
    assert grouping.places[:2] == ((0, 0), (0, 1))
    assert grouping.places[-1] == (3, 4)
    assert len(set(grouping.colours)) == 5


def test_with_more_axes_a_colour_is_named_by_what_the_arm_changes() -> None:
    study = catalogue_plan("q2").study
    norm = Axis(field="model.batch_norm", label="norm", values=(True, False), names=("true", "false"))
    arms = tuple(
        arm.model_copy(update={"label": f"norm {name}, {arm.label}", "values": {norm.field: value, **arm.values}})
        for value, name in zip(norm.values, norm.names, strict=True)
        for arm in study.arms[:6]
    )
    grouping = group_arms(study.model_copy(update={"axes": (norm, *study.axes), "arms": arms}))
    assert grouping.panels == ("norm true", "norm false"), "a bare value says nothing without its label"
    assert grouping.series == tuple(arm.label for arm in study.arms[:6])
    assert grouping.places == tuple((panel, series) for panel in range(2) for series in range(6))


def test_few_arms_share_a_panel() -> None:
    grouping = group_arms(small_study())
    assert (grouping.panels, grouping.series, grouping.places) == (("",), ("plain", "residual"), ((0, 0), (0, 1)))


def test_twenty_series_are_told_apart_without_their_colours() -> None:
    grouping = group_arms(small_study(tuple(f"arm {i}" for i in range(20))))
    assert len(set(zip(grouping.symbols, grouping.dashes, strict=True))) == 20


def test_curves_are_the_mean_with_a_band_from_lowest_to_highest() -> None:
    study = small_study(("one",), seeds=(0, 1))
    trials = trials_frame(study, {0: [0.5, 0.5]})
    epochs = epochs_frame(trials)
    epochs.loc[epochs["fingerprint"] == "0-1", "val_acc"] = [0.3, 0.6]  # seed 0 has 0.1 and 0.2
    figure = drawn(learning_curves(trials, epochs, study))
    _, band, train, val = figure.data
    assert list(val.y) == pytest.approx([0.2, 0.4])
    assert list(val.customdata) == [2, 2]
    assert list(band.x) == [1, 2, 2, 1]
    assert list(band.y) == pytest.approx([0.3, 0.6, 0.2, 0.1])
    assert train.line.width < val.line.width
    assert (train.mode, val.mode) == ("lines", "lines+markers")
    assert (train.uid, val.uid) == ("arm0-train", "arm0-val")
    assert "of 2 seeds" in val.hovertemplate


def test_few_arms_have_their_names_at_the_ends_of_their_lines_and_on_a_narrow_page_a_legend() -> None:
    study = small_study()
    trials = trials_frame(study, {0: [0.5] * 3, 1: [0.5] * 3})
    figure = drawn(learning_curves(trials, epochs_frame(trials), study))
    names = [trace for trace in figure.data if str(trace.uid).endswith("-name")]
    assert [(trace.uid, trace.text) for trace in names] == [
        ("arm0-name", ("", "plain")),
        ("arm1-name", ("", "residual")),
    ]
    assert [trace.y[0] for trace in names] == pytest.approx([0.2, 0.2]), "they lead from where the lines end"
    assert names[1].y[1] - names[0].y[1] == pytest.approx(0.1 * 18 / 300), "a line apart, though they end in one point"
    assert (figure.layout.showlegend, figure.layout.meta["narrow"]["showlegend"]) == (False, True)
    many = small_study(tuple(f"arm {index}" for index in range(9)))
    trials = trials_frame(many, {arm: [0.5] * 3 for arm in range(9)})
    figure = drawn(learning_curves(trials, epochs_frame(trials), many))
    assert figure.layout.showlegend and not [trace for trace in figure.data if str(trace.uid).endswith("-name")]


def test_names_keep_their_order_and_a_gap_and_move_no_further_than_they_must() -> None:
    assert beside_each_other([0.9, 0.1, 0.5], 0.2, (0, 1)) == pytest.approx([0.9, 0.1, 0.5])
    assert beside_each_other([0.5, 0.5, 0.9], 0.2, (0, 1)) == pytest.approx([0.4, 0.6, 0.9])
    assert beside_each_other([0.52, 0.5, 0.51], 0.1, (0, 1)) == pytest.approx([0.61, 0.41, 0.51])
    assert beside_each_other([1, 1, 0.2], 0.2, (0, 1)) == pytest.approx([0.8, 1, 0.2]), "they do not widen the axis"
    assert beside_each_other([1, 0, 1], 0.6, (0, 1)) == pytest.approx([0.6, 0, 1.2]), "no room: still a gap"


def test_a_trial_that_broke_off_is_marked_where_it_did() -> None:
    study = small_study()
    trials = trials_frame(study, {0: [0.5] * 3, 1: [0.5] * 3}, failed={(1, 2): "diverged"})
    epochs = epochs_frame(trials)
    ends = early_ends(trials, epochs, study)
    assert ends[["arm", "seed", "epoch", "acc", "loss"]].to_numpy().tolist() == [[1, 2, 2, 0.2, 2.0]]
    figure = drawn(learning_curves(trials, epochs, study))
    (cross,) = (trace for trace in figure.data if trace.marker.symbol == "x")
    assert (list(cross.x), list(cross.y)) == ([2], [0.2])
    assert "seed 2: diverged in epoch 2<br>diverged on purpose" in cross.hovertext[0]


def test_a_published_number_is_a_line_at_its_height_only_at_its_budget_and_data_set() -> None:
    level = {"arm": "A", "about": 0.8003, "within": 0.01, "measure": "test_acc"}
    at = {"profile": "paper", "dataset": "cifar10"}
    claim = Claim(name="x", says="It has 80.03 %.", source="<A> report", only_at=at, level=level)
    study = small_study(("A", "B")).model_copy(update={"claims": (claim,), **at})

    def curves_of(study: Study, measure: Literal["acc", "loss"] = "acc") -> Any:
        trials = trials_frame(study, {0: [0.6, 0.62, 0.61], 1: [0.5, 0.52, 0.51]})
        return drawn(learning_curves(trials, epochs_frame(trials), study, measure))

    (line,) = (trace for trace in curves_of(study).data if trace.line.dash == "dot")
    assert line.text[0] == "claimed on test: 80.03 %" and set(line.y) == {0.8003}
    assert line.hovertext == "It has 80.03 %.<br>&lt;A&gt; report"
    for update in ({"profile": "quick"}, {"dataset": "digits"}):
        assert "claimed" not in "".join(texts_of(curves_of(study.model_copy(update=update))))
    assert "claimed" not in "".join(texts_of(curves_of(study, "loss")))


def test_an_arm_that_diverged_at_once_is_named_in_its_panel(q2: Any) -> None:
    study, trials, epochs = q2
    notes = curveless(curves(trials, epochs, study), trials, study, group_arms(study))
    assert notes == [[], ["0.1: diverged 3 of 3"], [], []]
    assert "0.1: diverged 3 of 3" in texts_of(drawn(learning_curves(trials, epochs, study)))


def test_both_layouts_place_every_panel_without_overlap(q2: Any) -> None:
    study, trials, epochs = q2
    figure = drawn(learning_curves(trials, epochs, study))
    narrow = figure.layout.meta["narrow"]
    wide = figure.layout.to_plotly_json()
    names = ["", "2", "3", "4"]
    assert len({wide[f"yaxis{n}"]["domain"][0] for n in names}) == 1, "side by side"
    lefts = [wide[f"xaxis{n}"]["domain"] for n in names]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(lefts))
    heights = [narrow[f"yaxis{n}"]["domain"] for n in names]
    assert all(a[0] > b[1] for a, b in itertools.pairwise(heights)), "below each other"
    assert narrow["height"] > wide["height"]


def test_an_exploding_loss_does_not_flatten_the_others() -> None:
    points = pd.DataFrame({"epoch": [1, 2], "val_loss_mean": [2.3, 900], "val_loss_max": [2.4, 1000]})
    assert loss_ceiling(points.assign(train_loss_mean=2.0)) == pytest.approx(4.6)
    assert loss_ceiling(points.assign(train_loss_mean=2.0, val_loss_max=2.4)) is None


def test_final_measures_show_every_seed_the_mean_and_its_interval() -> None:
    study = small_study()
    trials = trials_frame(study, val_acc={0: [0.1] * 3, 1: [0.9] * 3}, test_acc={0: [0.60, 0.62, 0.64], 1: [0.5] * 3})
    figure = drawn(final_measures(arm_summaries(trials, study), trials, study))
    seeds, test, val, train = figure.data
    assert figure.layout.yaxis.ticktext == ("residual", "plain"), "highest validation on top, whatever test says"
    assert list(seeds.x) == [0.60, 0.62, 0.64, 0.5, 0.5, 0.5]
    assert list(test.x) == pytest.approx([0.5, 0.62])
    assert list(test.error_x.array) == pytest.approx([0, 4.303 * 0.02 / math.sqrt(3)], abs=1e-5)
    assert list(val.x) == pytest.approx([0.9, 0.1])
    assert list(train.x) == pytest.approx([0.9, 0.9])


def test_an_interval_wider_than_accuracies_can_be_does_not_stretch_the_axis() -> None:
    study = small_study(("one",), seeds=(0, 1))
    trials = trials_frame(study, {0: [0.85, 0.95]})
    figure = drawn(final_measures(arm_summaries(trials, study), trials, study))
    # Two seeds: half width 12.706 * 0.05, so the interval is 0.26 to 1.54.
    low, high = figure.layout.xaxis.range
    assert 0.2 < low < 0.27
    assert 1 < high < 1.05


def test_final_measures_keep_a_row_for_arms_that_failed_and_say_how(q2: Any) -> None:
    study, trials, _ = q2
    figure = drawn(final_measures(arm_summaries(trials, study), trials, study))
    assert len(figure.layout.yaxis.ticktext) == 20
    assert figure.layout.yaxis.ticktext[-1] == "SGD with momentum, learning rate 0.1"
    failed = {note.text: note.y for note in figure.layout.annotations}
    assert failed["diverged 3/3"] == 19
    assert "error 1/3" in failed
    assert "diverged 1/3<br>not run 1/3" in failed
    narrow = [note["text"] for note in figure.layout.meta["narrow"]["annotations"]]
    assert "diverged 1/3, not run 1/3" in narrow
    assert "SGD with momentum, learning rate 0.1" in narrow


def test_cells_stand_in_the_order_of_the_axes(q2: Any) -> None:
    study, trials, _ = q2
    summaries = arm_summaries(trials, study)
    cells = make_cells(summaries, study, "test_acc")
    assert [len(row) for row in cells.mean] == [5] * 4
    for arm, summary in zip(study.arms, summaries.itertuples(), strict=True):
        row = ["sgd", "sgd_momentum", "adagrad", "adam"].index(arm.config.optimizer.name)
        column = [0.0005, 0.001, 0.005, 0.01, 0.1].index(arm.config.optimizer.lr)
        if summary.ok:
            assert cells.mean[row][column] == summary.test_acc_mean
    figure = drawn(heat_map(arm_summaries(trials, study), study, "test_acc"))
    assert figure.layout.yaxis.ticktext == ("SGD", "SGD with momentum", "AdaGrad", "Adam")
    assert figure.layout.xaxis.ticktext == ("0.0005", "0.001", "0.005", "0.01", "0.1")
    assert figure.layout.yaxis.autorange == "reversed"


def test_a_cell_says_what_became_of_its_trials(q2: Any) -> None:
    study, trials, _ = q2
    cells = make_cells(arm_summaries(trials, study), study, "val_acc")
    assert cells.text[1][4] == ["diverged"]
    assert cells.mean[1][4] is None
    assert cells.text[3][4][1:] == ["1 of 3"]
    assert cells.text[0][0][1:] == []
    assert "train_loss became nan in epoch 1" in cells.hover[1][4]
    empty, _ = drawn(heat_map(arm_summaries(trials, study), study)).data
    assert empty.z[1][4] == 0, "it is drawn, as a cell without a colour"
    assert empty.text[1][4] == "diverged"


def test_a_cell_that_was_never_planned_shows_a_dash(q2: Any) -> None:
    study, trials, _ = q2
    fewer = study.model_copy(update={"arms": study.arms[:-1]})
    cells = make_cells(arm_summaries(trials[trials["arm"] < 19], fewer), fewer, "val_acc")
    assert cells.text[3][4] == [DASH]


def test_only_tables_have_a_heat_map(q2: Any) -> None:
    study = q2[0]
    assert has_heat_map(study)
    assert not has_heat_map(small_study()), "one axis"
    assert not has_heat_map(study.model_copy(update={"arms": study.arms[:15]})), "a quarter of the cells empty"
    assert has_heat_map(study.model_copy(update={"arms": study.arms[:16]}))
    trials = trials_frame(small_study(), {0: [0.5] * 3, 1: [0.5] * 3})
    assert heat_map(arm_summaries(trials, small_study()), small_study()) is None


def test_nothing_is_drawn_where_nothing_is_ok() -> None:
    study = small_study()
    failed = {(arm, seed): "not_run" for arm in range(2) for seed in range(3)}
    trials = trials_frame(study, {0: [0] * 3, 1: [0] * 3}, failed=failed)
    nothing = epochs_frame(trials).iloc[:0]
    assert final_measures(arm_summaries(trials, study), trials, study) is None
    assert learning_curves(trials, nothing, study) is None
    assert learning_curves(trials, nothing, study, "loss") is None
