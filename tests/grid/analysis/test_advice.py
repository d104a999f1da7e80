"""How many seeds would decide: against Student's power and simulated studies; when nothing is promised; in words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grid.analysis.advice import CHANCES, DOUBT, MAX_SEEDS, seeds_to_find
from grid.analysis.inference import ALPHA, Effect, p_above, seed_effect
from grid.analysis.wording import advice_in_words
from tests.grid.analysis.simulated import World
from tests.grid.analysis.test_inference import effects, patient
from tests.grid.analysis.test_winners import best_claim, concluded


def test_where_all_is_known_the_seeds_are_those_of_students_own_power() -> None:
    known = Effect(0.01, 0.004, 3, df=1e6)._replace(num_seeds=3)
    needed = seeds_to_find(known, ALPHA / 2, 0, math.inf, 0.5)
    assert needed is not None and 3 < needed < 20
    assert seeds_to_find(known._replace(seed_se=0.0008), ALPHA / 2, 0, math.inf, 0.5) == 4, "sure at once"


def test_no_number_of_seeds_shows_what_the_test_set_is_too_small_for() -> None:
    def number(effect: Effect) -> int | None:
        return seeds_to_find(effect, ALPHA / 2, 0, math.inf, 0.5)

    assert number(Effect(0.01, 0.001, 3, image_se=0.01)) is None
    assert number(Effect(-0.01, 0.001, 3)) is None, "it seems to lie elsewhere"
    assert number(Effect(0.01, np.nan, 1, np.nan)) is None, "nothing is known of chance"
    assert number(Effect(0.0001, 0.02, 3)) is None, f"more than {MAX_SEEDS}"


@given(effect=effects, alpha=st.floats(1e-4, 0.1))
@patient
def test_finding_needs_more_seeds_for_less_error_or_a_better_chance(effect: Effect, alpha: float) -> None:
    def number(rate: float, chance: float) -> int:
        return seeds_to_find(effect, rate, 0, math.inf, chance) or MAX_SEEDS + 1

    assert number(alpha, 0.9) >= number(alpha, 0.5) > effect.num_seeds
    assert number(alpha / 2, 0.5) >= number(alpha, 0.5)


def test_an_assured_number_is_that_of_drawn_effects_spreads_and_seeds() -> None:
    rng, alpha, seen = np.random.default_rng(2), 0.01, Effect(0.01, 0.003, 5)
    needed = seeds_to_find(seen, alpha, 0, math.inf, 0.8)
    assert needed is not None
    spread = 0.003 * np.sqrt(4 / rng.chisquare(4, 20_000))
    true = 0.01 + spread * rng.normal(size=20_000)
    shown = []
    for number in (needed, needed - 2):
        sd = np.sqrt(5) * spread
        mean = (5 * 0.01 + (number - 5) * (true + sd * rng.normal(size=20_000) / np.sqrt(number - 5))) / number
        shown.append(float((mean > stats.t.isf(alpha, number - 1) * sd / np.sqrt(number)).mean()))
    assert shown[0] == pytest.approx(0.8, abs=0.03) and shown[1] < shown[0]


def test_a_promised_number_keeps_its_word_where_the_difference_is_half_a_point() -> None:
    rng, alpha, spread = np.random.default_rng(5), 0.01, 0.005
    for delta, num_seeds in ((0.005, 3), (0.005, 5), (0.0, 3)):
        power = []
        for _ in range(500):
            effect = seed_effect(rng.normal(delta, spread, num_seeds))
            effect = effect if effect.mean > 0 else effect.turned
            if not alpha < p_above(effect) <= DOUBT:
                continue
            needed = seeds_to_find(effect, alpha, 0, math.inf, CHANCES[1])
            if needed is not None:
                t = stats.t.isf(alpha, needed - 1)
                power.append(float(stats.nct.sf(t, needed - 1, delta / spread * math.sqrt(needed))))
        if delta:
            assert np.mean(power) >= 0.8 and len(power) > 50
        else:
            assert len(power) <= 0.12 * 500, "where nothing differs, hardly ever is a number named"


def test_advice_is_a_range_of_seeds_trials_and_time_or_that_it_cannot_be_known() -> None:
    claims = (best_claim("A", 0), best_claim("B", 1))
    said = set()
    for seed in range(12):
        for verdict in concluded(World((0.86, 0.85), num_images=2000), 3, claims, seed).judgement.verdicts:
            said.add(advice_in_words(verdict))
            if verdict.advice is not None:
                low, high = verdict.advice.seeds
                assert 3 < low <= high
                assert verdict.advice.trials == (2 * (low - 3), 2 * (high - 3))
                words = f"About {low} to {high} seeds would decide it ({2 * (low - 3)} to {2 * (high - 3)} more trials"
                assert low == high or advice_in_words(verdict).startswith(words)
    assert "How many seeds would decide it can't be known yet; a few more would tell." in said
    assert any(words.startswith("About ") for words in said)
