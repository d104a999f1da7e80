"""Inference against printed numbers of textbooks and packages, against statsmodels, and by what must hold of it."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from grid.analysis.inference import (
    Effect,
    crossed_effect,
    half_width,
    holm,
    interval,
    look_levels,
    p_above,
    p_below,
    p_between,
    seed_effect,
)

SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Extra sleep of ten patients with either drug. Source: Student 1908, The Probable Error of a Mean; R's `sleep`."""
AUC = (
    [103.4, 59.92, 68.17, 94.54, 69.48, 72.17, 74.37, 84.44, 96.74, 94.26, 48.52, 95.68],
    [90.11, 77.71, 77.71, 97.51, 58.21, 101.3, 79.84, 96.06, 89.30, 97.22, 61.62, 85.80],
)
"""A test drug and its reference. Source: SAS/STAT User's Guide, The TTEST Procedure, example of equivalence."""
GRAFTS = [
    [90.3, 89.2, 98.2, 93.9, 87.4, 97.9],
    [92.5, 89.5, 90.6, 94.7, 87.0, 95.8],
    [85.5, 90.8, 89.6, 86.2, 88.0, 93.4],
    [82.5, 89.5, 85.6, 87.4, 78.9, 90.7],
]
"""Yield at four pressures in six batches of resin. Source: Montgomery, Design and Analysis of Experiments, ch. 4."""

sizes = st.floats(1e-4, 0.1)
effects = st.tuples(st.floats(-0.1, 0.1), sizes, st.integers(2, 30), st.just(0.0) | sizes).map(
    lambda parts: Effect(*parts)
)
accuracies = st.floats(0.05, 0.95)
odds_effects = st.tuples(accuracies, sizes, accuracies, sizes, st.integers(3, 30), st.just(0.0) | sizes).map(
    lambda parts: on_log_odds(*parts)
)
"""Differences of two arms on the log-odds scale; their errors are ten times those of accuracies."""
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)
patient = settings(deadline=None)


def on_log_odds(
    first: float, first_se: float, second: float, second_se: float, num_seeds: int, image_se: float
) -> Effect:
    """The difference of two accuracies with errors on the log-odds scale, ten times those given, and two more df."""
    odds = (first, 10 * first_se, second, 10 * second_se)
    return Effect(first - second, math.hypot(first_se, second_se), num_seeds, image_se, num_seeds + 1, *odds)


def approval(both: int, first: int, second: int, neither: int) -> npt.NDArray[np.float64]:
    """Second minus first answer of every person, as if two seeds had given the same: only images vary."""
    d = np.repeat([0.0, -1.0, 1.0, 0.0], [both, first, second, neither])
    return np.stack([d, d])


def random_answers(seed: int, num_seeds: int = 4, num_images: int = 50) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).integers(-1, 2, (num_seeds, num_images)).astype(float)


def test_students_sleep_data_give_the_t_test_that_r_prints() -> None:
    effect = seed_effect(np.subtract(*SLEEP))
    assert effect.mean == pytest.approx(-1.58)
    assert effect.mean / effect.seed_se == pytest.approx(-4.0621, abs=5e-5)
    assert 2 * p_below(effect) == pytest.approx(0.002833, abs=5e-7)
    assert interval(effect) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_equivalence_of_two_drugs_is_the_one_that_sas_prints() -> None:
    low, high = np.log(0.8), np.log(1.25)
    effect = seed_effect(np.log(np.divide(*AUC)))
    assert np.exp(effect.mean) == pytest.approx(0.9412, abs=5e-5)
    found = interval(effect, 0.1)
    assert found is not None and np.exp(found) == pytest.approx((0.8634, 1.0260), abs=5e-5)
    assert (effect.mean - low) / effect.seed_se == pytest.approx(3.38, abs=5e-3)
    assert (effect.mean - high) / effect.seed_se == pytest.approx(-5.90, abs=5e-3)
    assert p_above(effect, low) == pytest.approx(0.0031, abs=5e-5)
    assert p_below(effect, high) < 0.0001
    assert p_between(effect, low, high) == pytest.approx(0.003059338540563293, rel=1e-9), "to the digits of R's tost"


def test_mean_squares_are_those_of_the_textbooks_two_way_table() -> None:
    # printed: pressures 59.39, batches 38.45, error 7.33; with pressures in the place of seeds, batches of images
    effect = crossed_effect(GRAFTS)
    assert effect.seed_se**2 * 24 == pytest.approx(59.39, abs=0.005)
    assert effect.image_se**2 * 24 == pytest.approx(38.45 - 7.33, abs=0.01)

    rows = [(i, j, value) for i, row in enumerate(GRAFTS) for j, value in enumerate(row)]
    table = pd.DataFrame(rows, columns=["pressure", "batch", "yield_"])
    squares = anova_lm(ols("yield_ ~ C(pressure) + C(batch)", table).fit())["mean_sq"]
    assert effect.seed_se**2 * 24 == pytest.approx(squares["C(pressure)"], rel=1e-6)
    assert effect.image_se**2 * 24 == pytest.approx(squares["C(batch)"] - squares["Residual"], rel=1e-5)


def test_images_alone_give_the_textbooks_interval_of_a_paired_proportion() -> None:
    # Agresti, Categorical Data Analysis, ch. 11: approval of a minister, asked twice; difference -0.04, error 0.0095
    effect = crossed_effect(approval(794, 150, 86, 570))
    assert effect.mean == pytest.approx(-0.04)
    assert (effect.seed_se, effect.image_se) == (0, pytest.approx(0.0095, abs=1e-4))
    assert interval(effect) == pytest.approx((-0.06, -0.02), abs=0.002)


def test_images_alone_give_mcnemars_p_value_in_a_large_sample() -> None:
    ours = 2 * p_above(crossed_effect(approval(7000, 1000, 1060, 940)))
    assert ours == pytest.approx(mcnemar([[7000, 1000], [1060, 940]], exact=False, correction=False).pvalue, rel=1e-3)


def test_holm_by_hand() -> None:
    # from the smallest: 4 * 0.005, 3 * 0.01, 2 * 0.03, then 1 * 0.04, which must not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p=p_values)
@settings(max_examples=20)  # statsmodels collects garbage each time
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@given(p=p_values, position=st.integers(0, 12))
def test_holm_never_goes_below_a_p_value_and_passes_over_what_is_missing(p: list[float], position: int) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all() and (adjusted <= 1).all()
    gap = min(position, len(p))
    with_gap = holm(np.insert(p, gap, np.nan))
    assert np.isnan(with_gap[gap]) and np.delete(with_gap, gap) == pytest.approx(adjusted)


@given(seed=st.integers(0, 10_000), num_seeds=st.integers(2, 20), margin=st.floats(0.1, 2))
@patient
def test_equivalence_is_that_of_statsmodels(seed: int, num_seeds: int, margin: float) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, num_seeds))
    p = ttost_paired(a, b, -margin, margin)[0]
    assert p_between(seed_effect(a - b), -margin, margin) == pytest.approx(p, rel=1e-6)


@given(seed=st.integers(0, 10_000), num_seeds=st.integers(2, 20), threshold=st.floats(-1, 1))
@patient
def test_seeds_alone_give_students_p_value(seed: int, num_seeds: int, threshold: float) -> None:
    values = np.random.default_rng(seed).normal(size=num_seeds)
    p = stats.ttest_1samp(values, threshold, alternative="greater").pvalue
    assert p_above(seed_effect(values), threshold) == pytest.approx(p, rel=1e-6)
    assert p_between(seed_effect(values), threshold, math.inf) == pytest.approx(p, rel=1e-6)


@given(effect=effects | odds_effects, alpha=st.floats(1e-6, 0.9), threshold=st.floats(-0.2, 0.2))
@example(effect=Effect(0.01, 0.002, 2, 0.001), alpha=0.05, threshold=0.0)
@patient
def test_p_value_and_interval_agree(effect: Effect, alpha: float, threshold: float) -> None:
    ends = interval(effect, alpha)
    assert ends is not None
    assume(min(abs(end - threshold) for end in ends) > 1e-9)
    p = 2 * min(p_above(effect, threshold), p_below(effect, threshold))
    assert (p < alpha) == (not ends.low <= threshold <= ends.high)


@given(effect=effects | odds_effects, threshold=st.floats(-0.2, 0.2), step=st.floats(0, 0.1))
@patient
def test_one_sided_p_values_sum_to_one_and_fall_with_the_distance(
    effect: Effect, threshold: float, step: float
) -> None:
    assert p_above(effect, threshold) + p_below(effect, threshold) == pytest.approx(1)
    assert p_above(effect, threshold) <= p_above(effect, threshold + step) + 1e-12


@given(effect=effects | odds_effects, low=st.floats(-0.1, 0), high=st.floats(0, 0.1))
@patient
def test_turning_the_sign_turns_everything(effect: Effect, low: float, high: float) -> None:
    turned = effect.turned
    ends, turned_ends = interval(effect), interval(turned)
    assert ends is not None and turned_ends == pytest.approx((-ends.high, -ends.low))
    assert p_above(effect, low) == pytest.approx(float(p_below(turned, -low)))
    assert p_between(effect, low, high) == pytest.approx(float(p_between(turned, -high, -low)))


@given(effect=effects, alpha=st.floats(1e-6, 0.5), factor=st.floats(1, 2))
def test_interval_widens_with_confidence_and_with_each_error(effect: Effect, alpha: float, factor: float) -> None:
    half = half_width(effect, alpha)
    assert half <= half_width(effect, alpha / factor) + 1e-15
    assert half <= half_width(effect._replace(seed_se=effect.seed_se * factor), alpha) + 1e-15
    assert half <= half_width(effect._replace(image_se=effect.image_se * factor), alpha) + 1e-15
    seeds, images = half_width(effect._replace(image_se=0.0), alpha), half_width(effect._replace(seed_se=0.0), alpha)
    assert max(seeds, images) <= half * (1 + 1e-12) <= math.hypot(seeds, images) * (1 + 2e-12)


@given(seed=st.integers(0, 10_000), shift=st.floats(-1, 1))
def test_order_of_seeds_and_images_does_not_matter_nor_does_a_shift_of_all(seed: int, shift: float) -> None:
    d, rng = random_answers(seed), np.random.default_rng(seed)
    mean, *errors = crossed_effect(d)[:4]
    shuffled = rng.permutation(rng.permutation(d, axis=0), axis=1)
    for other, expected in ((shuffled, mean), (-d, -mean), (d + shift, mean + shift)):
        assert list(crossed_effect(other)[:4]) == pytest.approx([expected, *errors], abs=1e-4)


@given(num_looks=st.integers(0, 500), alpha=st.floats(0.001, 0.2))
def test_looks_spend_no_more_than_there_is_and_a_later_one_changes_none_before(num_looks: int, alpha: float) -> None:
    levels = look_levels(num_looks, alpha)
    assert levels.sum() <= alpha
    assert list(look_levels(num_looks + 1, alpha)[:-1]) == list(levels)


def test_one_seed_or_one_image_has_neither_interval_nor_p_value() -> None:
    assert interval(crossed_effect([[1.0, 0.0], [0.0, 0.0]])) is not None, "two of each are enough"
    crossed = (crossed_effect(random_answers(0, *shape)) for shape in ((1, 50), (3, 1)))
    for effect in (*crossed, seed_effect([0.5]), seed_effect([])):
        assert interval(effect) is None
        assert np.isnan([half_width(effect), p_above(effect), p_below(effect), p_between(effect, -1, 1)]).all()


def test_a_value_that_is_not_a_number_leaves_nothing_to_say() -> None:
    d = random_answers(0)
    d[1, 3] = np.nan
    for effect in (crossed_effect(d), seed_effect([0.5, np.nan, 0.6])):
        assert interval(effect) is None
        assert np.isnan([p_above(effect), p_below(effect), p_between(effect, -1, 1)]).all()


def test_identical_arms_are_equal_beyond_doubt_and_neither_is_better() -> None:
    # also two arms that are wrong about all images
    effect = crossed_effect(np.zeros((3, 100)))
    assert effect.identical and interval(effect) == (0, 0)
    assert (p_above(effect), p_below(effect), p_between(effect, -0.005, 0.005)) == (1, 1, 0)
    assert p_between(effect, 0, 0.005) == 1, "zero is no better than zero"


def test_an_arm_right_about_all_images_against_one_that_is_right_about_none_is_a_coin_a_seed() -> None:
    effect = crossed_effect(np.ones((3, 100)))
    assert not effect.identical and interval(effect) == (1, 1)
    assert (p_above(effect), p_below(effect)) == (0.125, 1)
    assert p_between(effect, 0.5, 1.5) == 0.125


def test_seeds_that_agree_by_luck_are_not_certain() -> None:
    d = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=float)  # all means by seed are 0.25
    effect = crossed_effect(d)
    assert effect.seed_se > 0
    ends = interval(effect)
    assert ends is not None and ends.low < 0.25 < ends.high


def test_p_values_come_as_arrays_of_effects() -> None:
    several = Effect(np.array([0.01, 0.02, -0.01]), np.array([0.002, 0.0, 0.003]), np.array([2, 3, 5]), np.zeros(3))
    singly = [p_above(Effect(*parts)) for parts in zip(*several[:4], strict=True)]
    assert p_above(several) == pytest.approx([float(p) for p in singly])


@given(parts=st.tuples(accuracies, sizes, accuracies, sizes), alpha=st.floats(0.001, 0.5))
def test_an_interval_on_the_log_odds_scale_never_leaves_what_is_possible(
    parts: tuple[float, float, float, float], alpha: float
) -> None:
    ends = interval(on_log_odds(*parts, num_seeds=3, image_se=0.0), alpha)
    assert ends is not None
    # each arm's own distances are at most to 0 and to 1
    assert -math.sqrt(2) + parts[0] - parts[2] <= ends.low <= parts[0] - parts[2] <= ends.high


def test_the_interval_of_two_arms_on_the_log_odds_scale_by_hand() -> None:
    # 90 % with an error of log-odds of 0.2, 50 % with one of 0.4; 4 degrees of freedom: t = 2.776445
    effect = Effect(0.4, 0.1, 3, 0.0, 4.0, 0.9, 0.2, 0.5, 0.4)
    first = [1 / (1 + math.exp(-(math.log(9) + sign * 2.776445 * 0.2))) for sign in (-1, 1)]
    second = [1 / (1 + math.exp(-sign * 2.776445 * 0.4)) for sign in (-1, 1)]
    low = 0.4 - math.hypot(0.9 - first[0], second[1] - 0.5)
    high = 0.4 + math.hypot(first[1] - 0.9, 0.5 - second[0])
    assert interval(effect) == pytest.approx((low, high), abs=1e-6)
    assert interval(effect.turned) == pytest.approx((-high, -low), abs=1e-6)


@given(effect=odds_effects)
@patient
def test_small_errors_of_log_odds_are_those_of_accuracies(effect: Effect) -> None:
    odds = effect._replace(first_se=1e-6 * effect.first_se, second_se=1e-6 * effect.second_se)
    slopes = [acc * (1 - acc) for acc in (effect.first_acc, effect.second_acc)]
    plain = Effect(effect.mean, math.hypot(slopes[0] * odds.first_se, slopes[1] * odds.second_se), effect.num_seeds)
    assert half_width(odds) == pytest.approx(float(half_width(plain._replace(image_se=odds.image_se, df=odds.df))))


def test_p_values_of_many_comparisons_are_exact_far_out() -> None:
    effect = Effect(1.0, 0.001, 10)
    assert p_above(effect) == pytest.approx(stats.t.sf(1000, 9), rel=1e-6)
    assert p_above(Effect(1.0, 0.0, 10, 0.1)) == pytest.approx(stats.norm.sf(10), rel=1e-6)
