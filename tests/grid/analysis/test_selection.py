"""The luck of the arm that validation picked: its formula, against drawn studies, and on a page."""

import math

import numpy as np
import pytest

from grid.analysis.selection import luck_of_best, luck_of_highest
from tests.grid.analysis.simulated import World, draw_trainings, equal_arms
from tests.grid.analysis.test_winners import concluded, evidence_of


def test_the_highest_of_two_equal_ones_is_lucky_by_what_the_maximum_of_two_normal_numbers_is() -> None:
    assert luck_of_highest(0.8, 0.01, [0.8], [0.01]) == pytest.approx(0.01 / math.sqrt(math.pi), rel=1e-3)
    assert luck_of_highest(0.9, 0.01, [0.8], [0.01]) == pytest.approx(0, abs=1e-6), "far ahead"
    assert luck_of_highest(0.8, 0.0, [0.8], [0.01]) == 0, "what does not vary has no luck"


def test_it_is_the_mean_luck_of_those_that_come_out_highest() -> None:
    mean, se = np.array([0.85, 0.846, 0.84]), np.array([0.004, 0.006, 0.03])
    luck = np.random.default_rng(0).normal(size=(200_000, 3)) * se
    picked = (mean + luck).argmax(axis=1) == 0
    seen = luck_of_highest(mean[0], se[0], list(mean[1:]), list(se[1:]))
    assert seen == pytest.approx(luck[picked, 0].mean(), abs=5e-5)


def test_where_arms_are_equal_the_corrected_figure_is_nearer_to_the_truth() -> None:
    rng, world = np.random.default_rng(3), World(equal_arms(6), luck_sd=0.08, num_images=1000, num_val_images=1000)
    plain, corrected = [], []
    for _ in range(60):
        evidence, _ = evidence_of(draw_trainings(world, 3, rng))
        best = evidence.best(evidence.contest())
        assert best is not None
        plain.append(evidence.measure(best, "test_acc").mean)
        corrected.append(plain[-1] - luck_of_best(evidence, best))
    assert np.mean(plain) - 0.85 > 0.005, "too high"
    assert abs(np.mean(corrected) - 0.85) < 0.75 * (np.mean(plain) - 0.85)


def test_the_page_says_by_how_much() -> None:
    notes = concluded(World(equal_arms(5), luck_sd=0.08, num_images=500, num_val_images=500), 3).notes
    assert any("is probably too high by about " in note and "points (" in note for note in notes)
