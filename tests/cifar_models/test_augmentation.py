"""What augmentation draws, by counting; what it does to an image, against torchvision and numpy."""

import importlib
import math
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from cifar_models.augmentation import IDENTITY, PARAMETERS, augment, draw_parameters
from cifar_models.config import AugmentationConfig

NUM_DRAWS = 20_000
EVERYTHING = AugmentationConfig(color_jitter=1, rotation=1, flip=1, crop_padding=4)
REPORT = AugmentationConfig(mode="added", color_jitter=0.3, rotation=0.3, flip=0.3)


@pytest.fixture(scope="module")
def functional() -> ModuleType:
    return importlib.import_module("torchvision.transforms.v2.functional")


def random_images(num_images: int = 8, seed: int = 0, size: tuple[int, int] = (32, 32)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (num_images, 3, *size), dtype=torch.uint8, generator=generator)
    images[0] = 7  # one colour: no hue, no contrast
    images[1, 1:] = images[1, :1]  # grey
    return images


def parameters(*, angle: float = 0.0, **values: float) -> Tensor:
    """The same hand-picked change for every image; angle in degrees."""
    row = dict(zip(PARAMETERS, IDENTITY, strict=True)) | values
    row |= {"cos": math.cos(math.radians(angle)), "sin": math.sin(math.radians(angle))}
    return torch.tensor([row[name] for name in PARAMETERS]).repeat(8, 1)


def drawn(seed: int = 0, num_images: int = NUM_DRAWS, **changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Columns of an epoch's parameters, by name."""
    config = AugmentationConfig.model_validate(changes)
    table = draw_parameters(config, num_images, torch.Generator().manual_seed(seed))
    return dict(zip(PARAMETERS, table.numpy().T, strict=True))


def assert_share(happened: npt.ArrayLike, probability: float) -> None:
    """A count that a fair draw exceeds once in a million times."""
    low, high = stats.binom.interval(1 - 1e-6, np.size(happened), probability)
    assert low <= np.sum(happened) <= high


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
def test_each_change_happens_as_often_as_configured(probability: float) -> None:
    columns = drawn(color_jitter=probability, rotation=probability, flip=probability)
    for name in ("brightness", "contrast", "saturation"):
        assert_share(columns[name] != 1, probability)
    assert_share(columns["hue"] != 0, probability)
    assert_share(columns["sin"] != 0, probability)
    assert_share(columns["flip"] == 1, probability)
    assert set(np.unique(columns["flip"])) <= {0.0, 1.0}


def test_changes_happen_independently_of_each_other() -> None:
    columns = drawn(color_jitter=0.3, rotation=0.3, flip=0.3)
    happened = np.stack([columns["hue"] != 0, columns["sin"] != 0, columns["flip"] == 1])
    assert_share(~happened.any(axis=0), 0.7**3)
    assert_share(happened.all(axis=0), 0.3**3)


def test_angles_are_uniform_to_either_side_and_never_beyond() -> None:
    columns = drawn(rotation=1, max_degrees=45)
    degrees = np.degrees(np.arctan2(columns["sin"], columns["cos"]))
    assert np.abs(degrees).max() <= 45 + 1e-4
    for low in range(-45, 45, 15):
        assert_share((low <= degrees) & (degrees < low + 15), 1 / 6)


@pytest.mark.parametrize("strength", [0.1, 0.4, 1.0])
def test_jitter_is_uniform_over_its_range(strength: float) -> None:
    columns = drawn(color_jitter=1, jitter_strength=strength)
    for name in ("brightness", "contrast", "saturation", "hue"):
        offset = columns[name] * 4 / strength if name == "hue" else (columns[name] - 1) / strength
        assert np.abs(offset).max() <= 1 + 1e-6
        for low in (-1.0, -0.5, 0.0, 0.5):
            assert_share((low <= offset) & (offset < low + 0.5), 1 / 4)


def test_every_place_of_the_crop_is_reached_equally_often() -> None:
    columns = drawn(crop_padding=2)
    for down in range(-2, 3):
        for right in range(-2, 3):
            assert_share((columns["down"] == down) & (columns["right"] == right), 1 / 25)
    assert np.abs(columns["down"]).max() == np.abs(columns["right"]).max() == 2


@given(padding=st.integers(0, 32))
@settings(deadline=None, max_examples=33)
def test_the_largest_draw_there_is_stays_within_the_padding(padding: int) -> None:
    places = (torch.tensor(1 - 2**-24) * (2 * padding + 1)).floor() - padding
    assert places == padding


def test_draws_depend_on_the_seed_alone_and_arms_share_what_they_have_in_common() -> None:
    global_state = torch.get_rng_state()
    first, again, other = (drawn(seed, color_jitter=0.3, flip=0.3) for seed in (5, 5, 6))
    assert all(first[name].tobytes() == again[name].tobytes() for name in PARAMETERS)
    assert any(first[name].tobytes() != other[name].tobytes() for name in PARAMETERS)
    without_jitter = drawn(5, flip=0.3, rotation=0.3, crop_padding=4)
    np.testing.assert_array_equal(without_jitter["flip"], first["flip"])
    np.testing.assert_array_equal(torch.get_rng_state(), global_state)


def test_without_augmentation_all_parameters_change_nothing_to_the_last_bit() -> None:
    columns = drawn()
    assert [np.unique(columns[name]).tolist() for name in PARAMETERS] == [[value] for value in IDENTITY]
    for config in (AugmentationConfig(), EVERYTHING):
        assert torch.equal(augment(random_images(), parameters(), config), random_images().float())


@pytest.mark.parametrize("mode", ["in_place", "added"])
def test_an_epoch_has_every_image_once_and_with_added_once_more_changed(mode: str) -> None:
    config = AugmentationConfig.model_validate({"mode": mode, "flip": 1})
    images = random_images(50)
    size = config.num_samples(50)
    generator = torch.Generator().manual_seed(3)
    order = torch.randperm(size, generator=generator)
    table = draw_parameters(config, 50, generator)
    assert len(table) == size == (100 if mode == "added" else 50)
    batches = torch.split(order, 16)
    epoch = torch.cat([augment(images[index % 50], table[index], config) for index in batches])
    for image in images[2:].float():
        unchanged = (epoch == image).all(dim=(1, 2, 3)).sum()
        flipped = (epoch == image.flip(-1)).all(dim=(1, 2, 3)).sum()
        assert (unchanged, flipped) == ((1, 1) if mode == "added" else (0, 1))


def test_added_originals_are_the_same_bytes_while_copies_change() -> None:
    images = random_images(64)
    table = draw_parameters(REPORT, 64, torch.Generator().manual_seed(0))
    both = augment(torch.cat([images, images]), table, REPORT)
    assert torch.equal(both[:64], images.float())
    changed = (both[64:] != images).flatten(1).any(dim=1).numpy()
    assert_share(changed, 1 - 0.7**3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("brightness", value) for value in (0.0, 0.6, 1.4, 2.0)],
        *[("contrast", value) for value in (0.0, 0.6, 1.4)],
        *[("saturation", value) for value in (0.0, 0.6, 1.4)],
        *[("hue", value) for value in (-0.25, -0.1, 0.03, 0.1, 0.25, 0.5)],
    ],
)
def test_each_colour_change_is_that_of_torchvision(functional: ModuleType, name: str, value: float) -> None:
    ours = augment(random_images(), parameters(**{name: value}), EVERYTHING)
    theirs = getattr(functional, f"adjust_{name}")(random_images() / 255, value) * 255
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)
    assert not torch.equal(ours, random_images().float())


def test_colours_change_in_the_documented_order(functional: ModuleType) -> None:
    ours = augment(random_images(), parameters(brightness=1.4, contrast=0.6, saturation=1.4, hue=0.1), EVERYTHING)
    x = functional.adjust_contrast(functional.adjust_brightness(random_images() / 255, 1.4), 0.6)
    x = functional.adjust_hue(functional.adjust_saturation(x, 1.4), 0.1)
    torch.testing.assert_close(ours, x * 255, rtol=0, atol=1e-3)


# a quarter turn of an oblong would put every pixel halfway between two
@pytest.mark.parametrize(
    ("size", "angle"),
    [((32, 32), 90), *[(s, a) for s in ((32, 32), (24, 33)) for a in (-45, -30.5, -1, 0.7, 17, 44.9, 180)]],
)
def test_rotation_is_that_of_torchvision_to_the_pixel(
    functional: ModuleType, size: tuple[int, int], angle: float
) -> None:
    images = random_images(size=size)
    theirs = functional.rotate(images, angle)  # nearest, black beyond the edge: its defaults
    assert torch.equal(augment(images, parameters(angle=angle), EVERYTHING), theirs.float())


def test_flip_is_that_of_torchvision_and_twice_it_is_nothing(functional: ModuleType) -> None:
    once = augment(random_images(), parameters(flip=1), EVERYTHING)
    assert torch.equal(once, functional.horizontal_flip(random_images()).float())
    assert torch.equal(augment(once.byte(), parameters(flip=1), EVERYTHING), random_images().float())


@given(down=st.integers(-4, 4), right=st.integers(-4, 4))
@settings(deadline=None, max_examples=40)
def test_crop_is_a_slice_of_the_padded_image(down: int, right: int) -> None:
    images = random_images()
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)))
    expected = padded[:, :, 4 + down : 36 + down, 4 + right : 36 + right]
    ours = augment(images, parameters(down=down, right=right), EVERYTHING)
    np.testing.assert_array_equal(ours.numpy(), expected)


def test_all_at_once_is_one_after_the_other(functional: ModuleType) -> None:
    everything = {"brightness": 1.2, "contrast": 0.8, "saturation": 1.3, "hue": -0.05}
    place: dict[str, float] = {"flip": 1, "down": 3, "right": -2}
    x = augment(random_images(), parameters(**everything), EVERYTHING)
    x = functional.horizontal_flip(functional.rotate(x, 20))
    expected = functional.pad(x, [4, 4, 4, 4])[:, :, 4 + 3 : 36 + 3, 4 - 2 : 36 - 2]
    assert torch.equal(augment(random_images(), parameters(angle=20, **everything, **place), EVERYTHING), expected)


def test_only_images_whose_draw_says_so_change() -> None:
    table = parameters()
    table[3, PARAMETERS.index("flip")] = 1
    table[5] = parameters(angle=30, hue=0.1, down=2)[0]
    changed = (augment(random_images(), table, EVERYTHING) != random_images()).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [3, 5]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_image_comes_out_the_same_whatever_batch_it_is_in(threads: int) -> None:
    images, config = random_images(300), EVERYTHING
    table = draw_parameters(config, 300, torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = augment(images, table, config)
        for size in (1, 7, 256):
            batches = torch.split(torch.arange(300), size)
            assert torch.equal(torch.cat([augment(images[index], table[index], config) for index in batches]), whole)
    finally:
        torch.set_num_threads(before)


def test_memory_format_does_not_show_and_the_input_is_left_alone() -> None:
    table = draw_parameters(EVERYTHING, 8, torch.Generator().manual_seed(0))
    images = random_images()
    contiguous = augment(images, table, EVERYTHING)
    assert torch.equal(contiguous, augment(images.to(memory_format=torch.channels_last), table, EVERYTHING))
    assert torch.equal(images, random_images())
    assert contiguous.dtype == torch.float32
    assert contiguous.min() >= 0 and contiguous.max() <= 255


def test_nothing_waits_for_the_device() -> None:
    """Tensors of the meta device have no values: whatever would read one fails."""
    images, table = random_images().to("meta"), parameters().to("meta")
    assert augment(images, table, EVERYTHING).shape == images.shape
    with pytest.raises((RuntimeError, NotImplementedError)):
        images[table[:, 0] > 0]
