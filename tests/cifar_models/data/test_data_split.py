import hashlib
from dataclasses import replace
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_models.config import DataConfig
from cifar_models.data import DataError, Dataset, load, split


def numbered(train_counts: list[int], test_counts: list[int] | None = None) -> Dataset:
    """A data set whose images say their own number, so that a split can be followed image by image."""
    test_counts = test_counts or [1] * len(train_counts)
    total = sum(train_counts) + sum(test_counts)
    images = np.zeros((total, 3, 32, 32), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(total), 256)
    labels = [
        np.random.RandomState(0).permutation(np.repeat(np.arange(len(c)), c)) for c in (train_counts, test_counts)
    ]
    for array in (images, *labels):
        array.setflags(write=False)  # as arrays out of Ray's object store are
    names = tuple(f"class {i}" for i in range(len(train_counts)))
    cut = sum(train_counts)
    return Dataset(names, "", images[:cut], labels[0].astype(np.int64), images[cut:], labels[1].astype(np.int64))


def numbers(images: np.ndarray) -> list[int]:
    found: list[int] = (images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]).tolist()
    return found


@st.composite
def datasets_and_configs(draw: st.DrawFn) -> tuple[Dataset, DataConfig]:
    num_classes = draw(st.integers(2, 5))
    train = draw(st.lists(st.integers(8, 60), min_size=num_classes, max_size=num_classes))
    test = draw(st.lists(st.integers(1, 12), min_size=num_classes, max_size=num_classes))
    val_fraction = draw(st.sampled_from([0.1, 0.2, 1 / 3, 0.5]))
    left = sum(train) - round(val_fraction * sum(train))
    # From where each class has a training image for certain, to all there are.
    enough = min(left, max(ceil(left / (floor(n * (1 - val_fraction)) - 1)) for n in train))
    config = DataConfig(
        train_size=draw(st.none() | st.integers(enough, left)),
        test_size=draw(st.none() | st.integers(1, sum(test))),
        val_fraction=val_fraction,
        split_seed=draw(st.integers(0, 2**32 - 1)),
    )
    return numbered(train, test), config


def assert_stratified(drawn: np.ndarray, source: np.ndarray, within: float = 1) -> None:
    """Every class has its share, but for less than `within` images."""
    expected = np.bincount(source) * len(drawn) / len(source)
    assert (abs(np.bincount(drawn, minlength=len(expected)) - expected) < within).all()


@settings(deadline=None)  # the machine may be busy
@given(datasets_and_configs())
def test_split_is_disjoint_stratified_exact_in_size_and_repeatable(case: tuple[Dataset, DataConfig]) -> None:
    dataset, config = case
    parts = split(dataset, config)
    num_images, num_val = len(dataset.train_labels), round(config.val_fraction * len(dataset.train_labels))
    assert len(parts.val_labels) == num_val
    assert len(parts.train_labels) == (config.train_size or num_images - num_val)
    assert len(parts.test_labels) == (config.test_size or len(dataset.test_labels))
    assert_stratified(parts.val_labels, dataset.train_labels)
    rest = np.bincount(dataset.train_labels) - np.bincount(parts.val_labels, minlength=parts.num_classes)
    assert_stratified(parts.train_labels, np.repeat(np.arange(parts.num_classes), rest))
    assert_stratified(parts.test_labels, dataset.test_labels)
    every = [*numbers(parts.train_images), *numbers(parts.val_images), *numbers(parts.test_images)]
    assert len(set(every)) == len(every)
    again = split(dataset, config)
    assert all(np.array_equal(vars(parts)[name], vars(again)[name]) for name in vars(parts))


@settings(deadline=None)  # the machine may be busy
@given(datasets_and_configs())
def test_split_keeps_each_image_with_its_label_in_the_data_sets_order(case: tuple[Dataset, DataConfig]) -> None:
    dataset, config = case
    parts = split(dataset, config)
    label_of = dict(enumerate([*dataset.train_labels, *dataset.test_labels]))
    for part in ("train", "val", "test"):
        in_order = numbers(getattr(parts, f"{part}_images"))
        assert in_order == sorted(in_order)
        assert [label_of[n] for n in in_order] == getattr(parts, f"{part}_labels").tolist()


def test_larger_parts_contain_smaller_ones_and_validation_stays() -> None:
    dataset = numbered([50, 30, 20], [20, 20, 20])
    small, medium, whole = (
        split(dataset, DataConfig(train_size=train, test_size=test))
        for train, test in ((10, 5), (60, 31), (None, None))
    )
    for part in ("train_images", "test_images"):
        a, b, c = (set(numbers(getattr(parts, part))) for parts in (small, medium, whole))
        assert a < b < c
    assert numbers(small.val_images) == numbers(medium.val_images) == numbers(whole.val_images)


def test_test_images_do_not_depend_on_how_training_images_are_divided() -> None:
    dataset = numbered([50, 30], [20, 20])
    a, b = (
        split(dataset, DataConfig(test_size=11, val_fraction=fraction, train_size=size))
        for fraction, size in ((0.1, None), (0.3, 20))
    )
    assert numbers(a.test_images) == numbers(b.test_images)


def test_split_seed_moves_every_drawn_part() -> None:
    dataset = numbered([100, 100], [50, 50])
    a, b = (split(dataset, DataConfig(train_size=50, test_size=50, split_seed=seed)) for seed in (0, 1))
    for part in ("train_images", "val_images", "test_images"):
        assert numbers(getattr(a, part)) != numbers(getattr(b, part))


def test_split_of_the_digits_is_the_one_that_trials_were_recorded_with() -> None:
    parts = split(load("digits", None), DataConfig(name="digits", train_size=500, test_size=200))
    content = hashlib.sha256()
    for array in (parts.train_images, parts.val_images, parts.test_images):
        content.update(array.tobytes())
    for labels in (parts.train_labels, parts.val_labels, parts.test_labels):
        content.update(labels.astype(np.uint8).tobytes())
    # If this has to change, raise TRAINING_VERSION: trials of before were trained on other images.
    assert content.hexdigest()[:16] == "1575d1082787a0c8"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"train_size": 91}, "train_size 91 is too large: 90 of 100 training images are left after 10 for validation"),
        ({"test_size": 21}, "test_size 21 is too large: there are 20 test images"),
        ({"val_fraction": 0.001}, "val_fraction 0.001 of 100 training images is none"),
        ({"val_fraction": 0.99}, "val_fraction 0.99 leaves no training image of class class [01]: it must be smaller"),
    ],
)
def test_sizes_that_cannot_be_had_say_what_can(config: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(numbered([60, 40], [10, 10]), DataConfig(**config))


def test_train_size_that_leaves_a_class_out_says_the_least_that_does_not() -> None:
    dataset = numbered([300, 10])
    with pytest.raises(DataError, match="train_size 2 leaves no training image of class class 1") as caught:
        split(dataset, DataConfig(train_size=2))
    least = int(str(caught.value).split()[-1])
    assert 1 in split(dataset, DataConfig(train_size=least)).train_labels
    with pytest.raises(DataError):
        split(dataset, DataConfig(train_size=least - 1))


@pytest.mark.parametrize("count", [0, 1])
def test_class_with_too_few_images_is_named(count: int) -> None:
    dataset = replace(numbered([20, 20, count]), classes=("cat", "dog", "horse"))
    with pytest.raises(DataError, match=f"class horse has {count} training images, but needs 2"):
        split(dataset, DataConfig())
