"""Error rates and coverage where the truth is known: what is promised is kept, at CIFAR-10's size and beyond.

Simulated at a moderate size; `make bench` prints the same at full size, beside other methods.
"""

import math

import numpy as np
import pytest
from scipy import stats

from grid.analysis.cases import MARGIN
from grid.analysis.inference import ALPHA, Array, Effect, half_width, p_between
from tests.grid.analysis.simulated import (
    WORLDS,
    World,
    covariances_of,
    draw_differences,
    draw_in_full,
    equal_arms,
    find_better,
    find_better_by_looks,
    rejection_rate,
)

NUM_EXPERIMENTS = 5_000
SEEDS = (3, 5, 10)


def generator() -> np.random.Generator:
    return np.random.default_rng(4)


def at_most(rate: float, num_experiments: int = NUM_EXPERIMENTS) -> float:
    """The highest share that a true rate of `rate` gives by chance, once in ten thousand times."""
    return float(stats.binom.isf(1e-4, num_experiments, rate) / num_experiments)


def covered(effect: Effect, truth: float = 0.0) -> float:
    return float((np.abs(effect.mean - truth) <= half_width(effect)).mean())


def ahead_on_validation(val_acc: Array) -> Array:
    """How much the first arm is above the second, `(R,)`."""
    return np.asarray(val_acc[:, 0].mean(axis=1) - val_acc[:, 1].mean(axis=1))


def test_the_made_up_arms_are_of_the_size_that_is_said() -> None:
    world = World(equal_arms(2))
    image, seed, rest = covariances_of(world)
    variance = 0.85 * 0.15
    assert 2 * (variance - image[0, 0]) == pytest.approx(0.13, abs=0.005), "trainings of an arm differ"
    assert 2 * (variance - image[0, 1]) == pytest.approx(0.15, abs=0.005), "trainings of two arms differ"
    assert math.sqrt(rest[0] / world.num_images) == pytest.approx(0.0026, abs=5e-5)
    assert math.sqrt(seed[0, 0]) == pytest.approx(0.0024, abs=5e-5)
    assert math.sqrt(seed[0, 0] + rest[0] / world.num_images) == pytest.approx(0.0035, abs=5e-5)


def test_drawing_means_amounts_to_drawing_every_answer() -> None:
    world = World((0.85, 0.85, 0.8), num_images=2_000, num_val_images=1_000, luck_of_all_sd=0.03, num_wild=1)
    full, val_acc = draw_in_full(world, 3, 500, generator())
    drawn = draw_differences(world, 3, 20_000, generator())
    fast = drawn.effect
    for pair in range(3):
        for measure in (lambda e: e.mean, lambda e: e.seed_se, lambda e: e.mean / half_width(e)):
            assert stats.ks_2samp(measure(full)[:, pair], measure(fast)[:, pair]).pvalue > 1e-3
        assert full.image_se[:, pair].mean() == pytest.approx(fast.image_se[:, pair].mean(), rel=0.03)
    ahead, fast_ahead = ahead_on_validation(val_acc), ahead_on_validation(drawn.val_acc)
    assert stats.ks_2samp(ahead, fast_ahead).pvalue > 1e-3
    luck = np.corrcoef(ahead, full.mean[:, 0])[0, 1]
    assert luck > 0.4, "a training's luck shows on validation and on test"
    assert luck == pytest.approx(np.corrcoef(fast_ahead, fast.mean[:, 0])[0, 1], abs=0.1)


@pytest.mark.parametrize("num_arms", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("num_seeds", SEEDS)
def test_with_no_difference_a_false_better_among_all_pairs_is_rare(num_seeds: int, num_arms: int) -> None:
    world = World(equal_arms(num_arms))
    effect = draw_differences(world, num_seeds, NUM_EXPERIMENTS, generator()).effect
    assert find_better(effect).any(axis=1).mean() <= at_most(ALPHA)


@pytest.mark.parametrize("num_seeds", SEEDS)
@pytest.mark.parametrize("world", WORLDS)
def test_whatever_varies_false_findings_are_rare_and_intervals_cover(world: str, num_seeds: int) -> None:
    drawn = draw_differences(WORLDS[world], num_seeds, NUM_EXPERIMENTS, generator())
    assert find_better(drawn.effect).any(axis=1).mean() <= at_most(ALPHA)
    assert 0.94 <= covered(drawn.effect) <= 0.97


@pytest.mark.parametrize("num_seeds", range(2, 16))
def test_coverage_is_right_in_whatever_proportion_seeds_and_images_vary(num_seeds: int) -> None:
    shares = np.linspace(0, 1, 41)
    covered = [1 - rejection_rate(half_width, num_seeds, share, ALPHA) for share in shares]
    assert min(covered) > 0.949
    assert max(covered) < {2: 0.983, 3: 0.963}.get(num_seeds, 0.959)
    assert covered[0] == pytest.approx(0.95, abs=1e-4) and covered[-1] == pytest.approx(0.95, abs=1e-4)
    for rate in (0.005, 0.0003):  # as many comparisons ask for
        assert max(rejection_rate(half_width, num_seeds, share, rate) for share in shares) < 1.001 * rate


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_intervals_of_arms_that_differ_cover_the_true_difference(num_seeds: int) -> None:
    effect = draw_differences(World((0.9, 0.8)), num_seeds, NUM_EXPERIMENTS, generator()).effect
    assert 0.94 <= covered(effect, truth=0.1) <= 0.97


@pytest.mark.parametrize("accuracy", [0.87, 0.97])
def test_a_small_test_set_changes_nothing(accuracy: float) -> None:
    num_experiments = 600
    world = World(equal_arms(4, accuracy), num_images=360, num_val_images=1)
    effect, _ = draw_in_full(world, 3, num_experiments, generator())
    assert find_better(effect).any(axis=1).mean() <= at_most(ALPHA, num_experiments)
    assert 0.93 <= covered(effect) <= 0.97


@pytest.mark.parametrize("num_seeds", SEEDS)
def test_arms_that_differ_by_the_margin_are_rarely_found_equal(num_seeds: int) -> None:
    world = World((0.85 + MARGIN / 2, 0.85 - MARGIN / 2))
    effect = draw_differences(world, num_seeds, NUM_EXPERIMENTS, generator()).effect
    spread_out = Effect(effect.mean, effect.seed_se, np.full_like(effect.mean, num_seeds), effect.image_se)
    assert (p_between(spread_out, -MARGIN, MARGIN) <= ALPHA).mean() <= at_most(ALPHA)


@pytest.mark.parametrize("num_arms", [2, 5, 20])
def test_looking_again_and_again_at_more_seeds_makes_no_more_false_findings(num_arms: int) -> None:
    looks = (3, 5, 8, 12)
    drawn = draw_differences(World(equal_arms(num_arms)), max(looks), NUM_EXPERIMENTS, generator())
    assert find_better_by_looks(drawn, looks).any(axis=1).mean() <= at_most(ALPHA)


def test_without_a_correction_both_rates_would_be_far_higher() -> None:
    # so the simulation can tell
    drawn = draw_differences(World(equal_arms(5)), 12, NUM_EXPERIMENTS, generator())
    uncorrected = np.abs(drawn.effect.mean) > half_width(drawn.effect)
    assert uncorrected.any(axis=1).mean() > 0.2
    effects = [drawn.after(num_seeds).effect for num_seeds in (3, 5, 8, 12)]
    looks = np.any([np.abs(effect.mean[:, 0]) > half_width(effect)[:, 0] for effect in effects], axis=0)
    assert looks.mean() > 0.08


def test_what_is_true_is_found() -> None:
    effect = draw_differences(World((0.87, 0.85, 0.85)), 5, NUM_EXPERIMENTS, generator()).effect
    found = find_better(effect)
    assert (found[:, :2] == 1).mean() > 0.95, "2 points with 5 seeds"
    assert (found[:, 2] != 0).mean() <= at_most(ALPHA), "the other two are equal"
