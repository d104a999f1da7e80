"""Both tests of pairs on real trainings: what they find of what all seeds show, and of what is not there."""

import numpy as np
import pytest

from tests.benchmarks.trainings import KEPT, Answers, false_findings, kept, moderated, paired, power


@pytest.fixture(scope="module")
def answers() -> Answers:
    return kept()


def test_the_kept_trainings_are_enough_and_small(answers: Answers) -> None:
    assert len(answers) >= 10 and min(map(len, answers.values())) >= 9
    assert KEPT.stat().st_size < 2_000_000


def test_moderated_pairs_find_far_more_of_what_is_true_at_three_seeds_and_nothing_wrong(answers: Answers) -> None:
    ours, wrong = power(answers, 3, moderated, np.random.default_rng(1), 6)
    theirs, _ = power(answers, 3, paired, np.random.default_rng(1), 6)
    assert ours > theirs + 8
    assert wrong <= 0.5


def test_pseudo_arms_of_one_arm_are_rarely_found_to_differ(answers: Answers) -> None:
    assert false_findings(answers, 2, moderated, np.random.default_rng(2), 60) <= 5 + 2.6 * (5 * 95 / 60) ** 0.5
