"""Moderated seed variances: by hand, against an independent computation, and by what must hold of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from grid.analysis.inference import LUCK, crossed_effect, half_width, interval
from grid.analysis.moderation import (
    RIDGE,
    drawn_towards,
    fit_prior,
    moderate,
    see_arm,
    seed_variances,
    trigamma_inverse,
)

EULER = 0.5772156649015329
RATIOS = np.array([0.5, 1.0, 2.0, 60.0])
ratios = st.lists(st.floats(0.05, 300), min_size=4, max_size=20)
patient = settings(deadline=None)


def arms(num_arms: int, num_seeds: int = 3, num_images: int = 300, seed: int = 0) -> dict[int, np.ndarray]:
    """Right answers of arms between 50 and 95 %, each seed with luck of its own."""
    rng = np.random.default_rng(seed)
    answers = {}
    for arm, acc in enumerate(np.linspace(0.5, 0.95, num_arms)):
        lucky = np.clip(acc + rng.normal(0, 0.02, (num_seeds, 1)), 0, 1)
        answers[arm] = rng.random((num_seeds, num_images)) < lucky
    return answers


def test_the_prior_of_four_arms_by_hand() -> None:
    # d = 2, so half is 1: psi(1) = -Euler, ln 1 = 0, psi'(1) = pi² / 6
    e = [math.log(phi) + EULER for phi in RATIOS]
    mean = sum(e) / 4
    beyond = sum((value - mean) ** 2 for value in e) / 3 - math.pi**2 / 6
    half = optimize.brentq(lambda x: float(special.polygamma(1, x)) - beyond, 1e-3, 1e3)
    prior = fit_prior(RATIOS, 2)
    assert prior.df == pytest.approx(2 * half) and prior.df < 4
    assert prior.phi == pytest.approx([math.exp(mean + float(special.digamma(half)) - math.log(half))] * 4)


def test_arms_that_vary_alike_have_as_many_degrees_of_freedom_as_there_are_arms() -> None:
    prior = fit_prior([1.0, 2.0, 3.0, 2.0, 1.5], [2, 2, 2, 2, 4])
    assert prior.df == 5
    assert prior.phi == pytest.approx([(2 * (1 + 2 + 3 + 2) + 4 * 1.5) / 12] * 5), "the mean, weighted by df"


def test_a_variance_is_drawn_to_the_prior_but_never_below_its_own_or_the_binomial_one() -> None:
    prior = fit_prior([1.0, 2.0, 3.0, 2.0], 2)._replace(df=np.array(4.0), phi=np.full(4, 2.0))
    drawn = drawn_towards(prior, [0.5, 8.0, 2.0, 0.1], 2)
    assert drawn == pytest.approx([(4 * 2 + 2 * 0.5) / 6, 8.0, 2.0, (4 * 2 + 2 * 0.1) / 6])
    assert drawn_towards(prior._replace(phi=np.full(4, 0.3)), [0.2] * 4, 2) == pytest.approx([1.0] * 4)


@given(phi=ratios, df=st.integers(1, 20))
@patient
def test_the_prior_is_that_of_an_independent_computation(phi: list[float], df: int) -> None:
    # as limma's fitFDist and squeezeVar have it, with statistics of plain Python
    least = special.chdtri(df, 1 - LUCK) / df
    logs = [math.log(max(value, least)) - float(special.digamma(df / 2)) + math.log(df / 2) for value in phi]
    mean = sum(logs) / len(logs)
    beyond = sum((value - mean) ** 2 for value in logs) / (len(logs) - 1) - float(special.polygamma(1, df / 2))
    prior = fit_prior(phi, df)
    if beyond <= 0:
        assert prior.df == len(phi) and prior.phi[0] == pytest.approx(sum(phi) / len(phi))
        return
    half = optimize.brentq(lambda x: math.log(float(special.polygamma(1, math.exp(x))) / beyond), -30, 40)
    d0 = 2 * math.exp(half)
    usual = math.exp(mean + float(special.digamma(d0 / 2)) - math.log(d0 / 2))
    assert prior.df == pytest.approx(min(d0, len(phi)), rel=1e-5)
    assert prior.phi[0] == pytest.approx(usual, rel=1e-5)


def test_the_trend_is_a_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    x, df = np.linspace(-3.5, -1.4, 12), 2
    phi = np.exp(1 + 1.5 * x + rng.normal(0, 3.0, 12)) * 20
    e = np.log(np.maximum(phi, special.chdtri(df, 1 - LUCK) / df)) + EULER
    design = np.stack([np.ones(12), x - x.mean()], axis=1)
    solve = np.linalg.solve(design.T @ design + np.diag([0, RIDGE]), design.T)
    line, trace = design @ solve @ e, np.trace(design @ solve)
    beyond = ((e - line) ** 2).sum() / (12 - trace) - math.pi**2 / 6
    assert beyond > 0
    d0 = 2 * trigamma_inverse(beyond)
    prior = fit_prior(phi, df, x)
    assert prior.df == pytest.approx(min(d0, 12))
    assert prior.phi == pytest.approx(np.exp(line + special.digamma(d0 / 2) - np.log(d0 / 2)))


@given(y=st.floats(1e-4, 1e4))
def test_the_inverse_of_the_trigamma_function_is_its_inverse(y: float) -> None:
    assert special.polygamma(1, trigamma_inverse(y)) == pytest.approx(y, rel=1e-6)


@given(seed=st.integers(0, 1000), num_seeds=st.integers(2, 6), num_images=st.integers(3, 60))
@patient
def test_mean_squares_of_an_arm_are_those_of_the_crossed_model(seed: int, num_seeds: int, num_images: int) -> None:
    right = np.random.default_rng(seed).random((num_seeds, num_images)) < 0.7
    arm, table = see_arm(right), right.astype(float)
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    assert arm.acc == pytest.approx(table.mean())
    assert arm.seeds_square == pytest.approx(num_images * table.mean(axis=1).var(ddof=1))
    square = (rest**2).sum() / ((num_seeds - 1) * (num_images - 1))
    assert arm.rest_square == pytest.approx(max(square, 0.5 / num_images), abs=1e-9)


def test_a_difference_has_the_variances_of_both_arms_and_the_images_part_of_their_difference() -> None:
    answers = arms(6)
    moderation = moderate(answers)
    assert moderation is not None
    effect = moderation.difference(1, 4)
    a, b = see_arm(answers[1]), see_arm(answers[4])
    assert effect.mean == pytest.approx(a.acc - b.acc)
    assert effect.seed_se**2 == pytest.approx(moderation.variances[1] + moderation.variances[4])
    assert effect.df == moderation.df + 2
    image = (a.by_image - b.by_image).var(ddof=1) - (a.rest_square + b.rest_square) / 3
    assert effect.image_se**2 == pytest.approx(max(image, 0) / 300)
    assert moderation.difference(4, 1) == pytest.approx(effect.turned, nan_ok=True)


def test_the_variance_of_an_arms_mean_is_its_ratio_times_the_rest() -> None:
    seen = [see_arm(answers) for answers in arms(8).values()]
    acc, seeds, rest, _ = np.array([arm[:4] for arm in seen], dtype=float).T
    variances, d0 = seed_variances(acc, seeds, rest, 3, 300)
    prior = fit_prior(seeds / rest, 2, np.log(acc * (1 - acc)))
    assert d0 == prior.df
    assert variances == pytest.approx(drawn_towards(prior, seeds / rest, 2) * rest / (3 * 300))
    assert (variances >= seeds / (3 * 300) - 1e-15).all(), "never below what the arm itself shows"


def test_with_three_arms_or_two_seeds_nothing_is_moderated() -> None:
    assert moderate(arms(3)) is None
    assert moderate(arms(5, num_seeds=2)) is None
    mixed = arms(4) | {7: arms(1, num_seeds=2)[0]}
    moderation = moderate(mixed)
    assert moderation is not None and sorted(moderation.arms) == [0, 1, 2, 3]


def test_many_studies_at_once_are_each_by_itself() -> None:
    rng = np.random.default_rng(3)
    phi, x = rng.uniform(0.1, 50, (5, 7)), rng.uniform(-3, -1, (5, 7))
    together = fit_prior(phi, 4, x)
    for study in range(5):
        alone = fit_prior(phi[study], 4, x[study])
        assert (together.df[study], list(together.phi[study])) == (alone.df, pytest.approx(list(alone.phi)))


def test_among_many_arms_three_seeds_give_a_far_narrower_interval_at_a_strict_level() -> None:
    answers = arms(12)
    moderation = moderate(answers)
    assert moderation is not None
    paired = crossed_effect(answers[0].astype(np.int8) - answers[8].astype(np.int8))
    strict = 0.05 / 66
    moderated = moderation.difference(0, 8)
    assert half_width(moderated, strict) < half_width(paired, strict) / 3


def test_arms_at_both_ends_and_seeds_that_do_not_vary_still_have_an_interval() -> None:
    answers = arms(4) | {4: np.ones((3, 300), bool), 5: np.zeros((3, 300), bool)}
    moderation = moderate(answers)
    assert moderation is not None
    ends = interval(moderation.difference(4, 5))
    assert ends is not None and 0.9 < ends.low <= 1 <= ends.high
