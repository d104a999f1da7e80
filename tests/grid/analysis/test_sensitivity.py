"""Shares of variance, against analyses of variance that textbooks work by hand, and against known truth."""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from cifar_models.config import OptimizerConfig, TrainConfig
from grid.analysis.sensitivity import TIMES, Sensitivity, Term, axis_shares, shown
from grid.questions.study import Arm, Axis, Study
from tests.grid.constructed import catalogue_plan, small_study, trials_frame

FIELDS = ("lr", "weight_decay", "l1")
BATTERIES = [  # material by temperature: life of four batteries in hours
    *([130, 155, 74, 180], [34, 40, 80, 75], [20, 70, 82, 58]),
    *([150, 188, 159, 126], [136, 122, 106, 115], [25, 70, 58, 45]),
    *([138, 110, 168, 160], [174, 120, 150, 139], [96, 104, 82, 60]),
]
BOTTLES = [  # carbonation by pressure by speed: deviation of the fill height in two runs
    *([-3, -1], [-1, 0], [-1, 0], [1, 1]),
    *([0, 1], [2, 1], [2, 3], [6, 5]),
    *([5, 4], [7, 6], [7, 9], [10, 11]),
]


@functools.cache
def table_study(shape: tuple[int, ...]) -> Study:
    """A study of every combination of so many values of the axes A, B and C."""
    values = tuple(0.001 * (1 + value) for value in range(max(shape)))
    axes = tuple(
        Axis(field=f"optimizer.{field}", label=label, values=values[:size], names=tuple(map(str, range(size))))
        for field, label, size in zip(FIELDS, "ABC", shape, strict=False)
    )
    arms: list[Arm] = []
    for chosen in itertools.product(*(axis.values for axis in axes)):
        config = TrainConfig(optimizer=OptimizerConfig(**dict(zip(FIELDS, chosen, strict=False))))
        fields = {axis.field: value for axis, value in zip(axes, chosen, strict=True)}
        arms.append(Arm(label=f"arm {len(arms)}", values=fields, config=config))
    return small_study().model_copy(update={"axes": axes, "arms": tuple(arms)})


def tables_of(study: Study, arms: Sequence[Sequence[float]]) -> tuple[pd.DataFrame, Study]:
    """Trials of a study, from the results of each arm; seeds that an arm lacks failed."""
    most = max(len(values) for values in arms)
    study = study.model_copy(update={"seeds": tuple(range(most))})
    failed = {(arm, seed): "error" for arm, values in enumerate(arms) for seed in range(len(values), most)}
    padded = {arm: [*values, *[0.0] * (most - len(values))] for arm, values in enumerate(arms)}
    return trials_frame(study, padded, failed=failed), study


def shares(shape: tuple[int, ...], arms: Sequence[Sequence[float]]) -> Sensitivity:
    return axis_shares(*tables_of(table_study(shape), arms))


def term_name(term: Term) -> str:
    return term.name.replace(TIMES, "x")


def by_name(found: Sensitivity) -> dict[str, float]:
    return {term_name(term): term.share for term in found.terms}


def test_squares_of_montgomerys_batteries_to_the_printed_digits() -> None:
    found = {term_name(term): (round(term.squares, 2), term.df) for term in shares((3, 3), BATTERIES).terms}
    # Montgomery, Design and Analysis of Experiments, the battery design experiment.
    assert found == {"A": (10683.72, 2), "B": (39118.72, 2), "A x B": (9613.78, 4), "seeds": (18230.75, 27)}


def test_squares_of_montgomerys_bottles_to_the_printed_digits() -> None:
    found = {term_name(term): (round(term.squares, 3), term.df) for term in shares((3, 2, 2), BOTTLES).terms}
    # Montgomery, Design and Analysis of Experiments, the soft drink bottling problem.
    assert found == {
        "A": (252.75, 2),
        "B": (45.375, 1),
        "C": (22.042, 1),
        "A x B": (5.25, 2),
        "A x C": (0.583, 2),
        "B x C": (1.042, 1),
        "three or more axes together": (1.083, 2),
        "seeds": (8.5, 12),
    }


def test_squares_are_those_of_statsmodels_on_balanced_data() -> None:
    rng = np.random.default_rng(1)
    arms = rng.normal(size=(24, 3)) + rng.normal(size=(24, 1))
    found = {term_name(term).replace(" x ", ":"): term.squares for term in shares((4, 3, 2), arms.tolist()).terms}
    levels = pd.DataFrame(itertools.product("wxyz", "klm", "pq"), columns=list("ABC"))
    long = levels.loc[levels.index.repeat(3)].assign(y=arms.ravel())
    table = anova_lm(ols("y ~ A * B * C", long).fit())["sum_sq"]
    assert found.pop("three or more axes together") == pytest.approx(table.pop("A:B:C"))
    assert found.pop("seeds") == pytest.approx(table.pop("Residual"))
    assert found == pytest.approx(table.to_dict())


def test_shares_are_omega_squared_worked_by_hand() -> None:
    # Noise 18230.75 / 27 = 675.213; all squares 77646.972, with one more noise 78322.185.
    # A: (10683.722 - 2 * 675.213) / 78322.185; B and A x B alike with 2 and 4 degrees of freedom.
    found = by_name(shares((3, 3), BATTERIES))
    assert found == pytest.approx({"B": 0.48222, "A": 0.11917, "A x B": 0.08826, "seeds": 0.31035}, abs=1e-5)
    assert list(found) == ["B", "A", "A x B", "seeds"], "the largest first, the seeds last"
    assert sum(found.values()) == pytest.approx(1)


def test_missing_seeds_worked_by_hand() -> None:
    found = shares((2, 2), [[1, 3], [5], [5, 6, 7], [9]])
    # Means 2, 5, 6, 9: squares of means 16 for A, 9 for B, none together. Noise (2 + 2) / 3.
    # Harmonic mean of 2, 1, 3, 1: 24/17. All squares 25 * 24/17 - 3 * 4/3 + 4 * 24/17 * 4/3 = 38.8235.
    assert by_name(found) == pytest.approx({"A": 0.54748, "B": 0.29293, "A x B": 0, "seeds": 0.15960}, abs=1e-5)
    assert found.note == "3 arms with fewer seeds: the mean is of those."


def test_shares_are_right_on_average_when_seeds_are_missing() -> None:
    rng = np.random.default_rng(2)
    sizes = [5, 2, 3, 2, 4, 5]
    means = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 1.0]])
    effect_a, effect_b = means.mean(axis=1, keepdims=True) - means.mean(), means.mean(axis=0) - means.mean()
    parts = {"A": effect_a.var(), "B": effect_b.var(), "A x B": means.var() - effect_a.var() - effect_b.var()}
    truth = {name: part / (means.var() + 1) for name, part in parts.items()} | {"seeds": 1 / (means.var() + 1)}
    drawn = [[rng.normal(mean, size=n).tolist() for mean, n in zip(means.flat, sizes, strict=True)] for _ in range(80)]
    runs = [by_name(shares((2, 3), arms)) for arms in drawn]
    assert {name: np.mean([run[name] for run in runs]) for name in truth} == pytest.approx(truth, abs=0.05)


def test_arms_that_do_not_differ_explain_next_to_nothing() -> None:
    rng = np.random.default_rng(3)
    runs = [shares((4, 5), rng.normal(size=(20, 3)).tolist()) for _ in range(25)]
    squares = [1 - run.terms[-1].squares / sum(term.squares for term in run.terms) for run in runs]
    assert np.mean(squares) == pytest.approx(19 / 59, abs=0.04), "what plain ratios of squares would claim"
    assert np.mean([1 - run.terms[-1].share for run in runs]) < 0.1


def test_one_axis_is_weighed_against_the_seeds() -> None:
    # Means 2 and 6, noise 2: (16 - 2) / (16 + 2 * 2 + 2).
    assert by_name(shares((2,), [[1, 3], [5, 7]])) == pytest.approx({"A": 14 / 22, "seeds": 8 / 22})


def test_a_value_at_which_an_arm_has_no_result_is_left_out() -> None:
    arms = [list(values) for values in BATTERIES]
    arms[7] = []
    found = shares((3, 3), arms)
    assert found.note == "Left out, since not every arm there has a result: A 2."
    assert by_name(found) == pytest.approx(by_name(shares((2, 3), BATTERIES[:6])))


def test_the_value_goes_that_costs_the_fewest_arms() -> None:
    # 20 arms; all of the last B but one are empty: without that B, 16 are left; without an A, there still are gaps.
    arms = [[float(arm), arm + 1.0] if arm % 5 != 4 or arm == 4 else [] for arm in range(20)]
    found = shares((4, 5), arms)
    assert found.note == "Left out, since not every arm there has a result: B 4."
    assert [term.df for term in found.terms if term_name(term) == "A x B"] == [9]


def test_with_too_many_gaps_all_axes_are_one_term() -> None:
    found = shares((2, 2), [[1, 3], [5, 7], [2, 4], []])
    assert [term.name for term in found.terms] == ["all axes together", "seeds"]
    assert found.terms[0].df == 2
    assert found.note.startswith("Too many arms lack a result, so the axes can't be told apart")
    assert "1 arm without any result can't count." in found.note


def test_where_the_arms_are_not_every_combination_all_axes_are_one_term() -> None:
    for question in ("q1", "q4", "q5", "q8"):
        study = catalogue_plan(question).study
        rng = np.random.default_rng(4)
        found = axis_shares(*tables_of(study, rng.normal(size=(len(study.arms), 3)).tolist()))
        assert [term.name for term in found.terms] == ["all axes together", "seeds"], question
        assert "not every combination" in found.note


def test_a_setting_that_changes_with_an_axis_is_named() -> None:
    study = catalogue_plan("q3b").study
    found = axis_shares(*tables_of(study, [[arm, arm + 0.5, arm + 1] for arm in range(6)]))
    assert found.note == "What layers explains may be due to pool every, which changes with it."


@pytest.mark.parametrize(
    ("arms", "why"),
    [
        ([[], []], "Fewer than two arms have a result."),
        ([[0.5, 0.6], []], "Fewer than two arms have a result."),
        ([[0.5], [0.6]], "No arm has results of two seeds, so there is no telling what is chance."),
        ([[0.5, 0.5], [0.5, 0.5]], "All trials came out the same."),
        ([[math.nan, 0.5], [0.5, 0.5]], "All trials came out the same."),
    ],
)
def test_where_nothing_can_be_said_it_is_said_why(arms: list[list[float]], why: str) -> None:
    assert axis_shares(*tables_of(table_study((2,)), [[*values] or [math.nan] for values in arms])).note == why
    assert shares((2,), arms if any(arms) else [[math.nan], [math.nan]]).terms == ()


def test_a_single_arm_has_nothing_to_be_weighed_against() -> None:
    found = axis_shares(*tables_of(small_study(("one",)), [[0.5, 0.6]]))
    assert found == Sensitivity((), "Fewer than two arms have a result.")


def test_no_seed_is_left_where_only_arms_with_two_are_left_out() -> None:
    found = shares((3, 2), [[1], [2], [3], [4], [5, 6], []])
    assert found == Sensitivity((), "No arm has results of two seeds, so there is no telling what is chance.")


def test_seeds_that_agree_to_the_last_bit_leave_nothing_to_chance() -> None:
    assert by_name(shares((2,), [[0.5, 0.5], [0.6, 0.6]])) == pytest.approx({"A": 1, "seeds": 0})


def test_only_trials_that_are_ok_at_full_budget_count() -> None:
    trials, study = tables_of(table_study((2,)), [[1, 3], [5, 7]])
    others = trials.assign(stage="screening", val_acc=100.0)
    diverged = trials.assign(status="diverged", val_acc=100.0)
    elsewhere = trials.assign(study="another", val_acc=100.0)
    everything = pd.concat([trials, others, diverged, elsewhere], ignore_index=True)
    assert axis_shares(everything, study) == axis_shares(trials, study)
    assert axis_shares(trials.drop(columns="stage"), study) == axis_shares(trials, study)


def test_where_nothing_differs_no_axis_is_shown_as_important_in_more_than_five_of_a_hundred() -> None:
    rng = np.random.default_rng(0)
    wrong = large = 0
    for _ in range(120):
        found = shares((4, 5), rng.normal(0.8, 0.01, (20, 3)).tolist())
        wrong += any(term.share > 0 for term in shown(found.terms) if term.kind != "seeds")
        large += any(term.share > 0.1 for term in found.terms if term.kind != "seeds")
        assert sum(term.share for term in shown(found.terms)) == pytest.approx(1)
    assert wrong <= 12 < large, "the estimates alone would"
