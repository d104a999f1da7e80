from fractions import Fraction
from math import ceil, floor
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_models.data.strata import _proportional_sequence, fixed_test_part, stratified_order

label_lists = st.lists(st.integers(0, 6), min_size=1, max_size=120)
skewed_counts = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 200)), min_size=1, max_size=12).filter(sum)


@settings(deadline=None)
@given(skewed_counts, st.randoms())
def test_every_prefix_has_each_class_in_proportion_rounded_down_or_up(counts: list[int], random: Random) -> None:
    precedence = list(range(len(counts)))
    random.shuffle(precedence)
    sequence = _proportional_sequence(np.array(counts), np.array(precedence))
    placed = [0] * len(counts)
    for k, c in enumerate(sequence, start=1):
        placed[c] += 1
        for count, so_far in zip(counts, placed, strict=True):
            share = Fraction(k * count, sum(counts))
            assert floor(share) <= so_far <= ceil(share)
    assert placed == counts


def test_sequence_worked_by_hand() -> None:
    # Of three places, class 0 must have come by the third; class 1 by the second, and again by the third.
    # The two that are due by the third are equal, and precedence decides.
    assert _proportional_sequence(np.array([1, 2]), np.array([0, 1])).tolist() == [1, 0, 1]
    assert _proportional_sequence(np.array([1, 3]), np.array([1, 0])).tolist() == [1, 1, 1, 0]


@settings(deadline=None)
@given(label_lists, st.integers(0, 2**32 - 1))
def test_order_has_every_image_once_and_is_fixed_by_the_seed(labels: list[int], seed: int) -> None:
    order = stratified_order(np.array(labels), np.random.RandomState(seed))
    assert sorted(order) == list(range(len(labels)))
    assert order.tolist() == stratified_order(np.array(labels), np.random.RandomState(seed)).tolist()


def test_which_images_of_a_class_come_first_is_random() -> None:
    labels = np.repeat([0, 1], 200)
    first = [stratified_order(labels, np.random.RandomState(seed))[:100] for seed in range(400)]
    drawn = np.bincount(np.concatenate(first), minlength=400)
    # Each image is drawn with probability 1/4: binomial, 400 times, deviation 8.7.
    assert abs(drawn - 100).max() < 5 * 8.7


def test_order_does_not_write_to_the_labels() -> None:
    labels = np.array([0, 1, 1, 0, 2])
    labels.setflags(write=False)
    stratified_order(labels, np.random.RandomState(0))


@settings(deadline=None)
@given(st.lists(st.integers(5, 40), min_size=2, max_size=8))
def test_fixed_test_part_is_a_fifth_and_has_every_class_of_five_images(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    is_test = fixed_test_part(labels)
    assert is_test.sum() == ceil(sum(counts) / 5)
    assert set(labels[is_test]) == set(labels)
