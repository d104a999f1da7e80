"""Pictures of what a study's augmentation does, beside its page: `<study>-augmented-<hash>.png`, a strip each.

They show the embedded digits, never the images that were trained on: those of CIFAR may not be passed on. Digits are
grey, where a jitter of hue and saturation would not show, so each is printed in an ink on a paper of its own.
Finding the pictures needs no torch; only writing them does.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from cifar_models.config import IMAGE_SIZE, AugmentationConfig
from cifar_models.data import load
from grid.questions.study import Study
from grid.records.files import Folder

Pixels = npt.NDArray[np.uint8]

DIGITS = (2, 4, 7)
"""One row each. A flip shows on all of them."""

INKS: tuple[tuple[int, int, int], ...] = ((25, 55, 120), (255, 236, 190), (70, 20, 70))
PAPERS: tuple[tuple[int, int, int], ...] = ((246, 196, 92), (196, 72, 58), (122, 196, 150))
"""Red, green and blue of each row; no paper is dark, so that what augmentation leaves black shows."""

NUM_DRAWS = 9
SEED = 0
SCALE, GAP, WIDE_GAP = 2, 4, 16
"""An image's pixel, the gap between images and that after the originals, in pixels of the picture."""


class Strip(NamedTuple):
    """A picture: a row a digit, first the original, then draws as training would make them.

    Attributes:
        labels: The arms that change images in this way, whether in place or added.
        file: Name of the file.
    """

    labels: tuple[str, ...]
    file: str


def find_samples(study: Study, folder: Folder) -> list[Strip]:
    """The strips of a study that `write_samples` has written to a folder, in the order of the arms."""
    return [strip for strip, _ in _strips(study) if folder.kind(strip.file) == "file"]


def write_samples(study: Study, folder: Folder) -> list[Strip]:
    """Draws a strip for every augmentation of a study that has none in the folder; the same bytes every time.

    Args:
        study: The study; nothing is written if none of its arms augments.
        folder: Where the files go; made if it is not there.

    Returns:
        All of its strips.
    """
    missing = [(strip, config) for strip, config in _strips(study) if folder.kind(strip.file) != "file"]
    if missing:
        originals = _tinted_digits()
        for strip, config in missing:
            with folder.writing(strip.file) as file:
                _picture(originals, _augmented(originals, config)).save(file, format="PNG", optimize=True)
    return find_samples(study, folder)


def _strips(study: Study) -> list[tuple[Strip, AugmentationConfig]]:
    """What there is to draw. The name holds a hash of the configuration: a picture of an older one is never shown."""
    labels: dict[AugmentationConfig, list[str]] = {}
    for arm in study.arms:
        if arm.config.augmentation.changes_images:
            shown = arm.config.augmentation.model_copy(update={"mode": "in_place"})
            labels.setdefault(shown, []).append(arm.label)
    strips = []
    for config, names in labels.items():
        digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:8]
        strips.append((Strip(tuple(names), f"{study.name}-augmented-{digest}.png"), config))
    return strips


def _tinted_digits() -> Pixels:
    """The first of each of `DIGITS` in its colours, `(D, 3, H, W)`."""
    dataset = load("digits", None)
    first = [int(np.flatnonzero(dataset.train_labels == digit)[0]) for digit in DIGITS]
    share = dataset.train_images[first].astype(np.float64) / 255
    ink, paper = (np.array(colors, dtype=np.float64)[:, :, None, None] for colors in (INKS, PAPERS))
    return (paper + (ink - paper) * share).round().astype(np.uint8)


def _augmented(originals: Pixels, config: AugmentationConfig) -> Pixels:
    """Draws of each image, `(D, NUM_DRAWS, 3, H, W)`; all strips share what they have in common."""
    import torch  # a report is read where there is none

    from cifar_models.augmentation import augment, draw_parameters

    images = torch.tensor(originals).repeat_interleave(NUM_DRAWS, dim=0)
    parameters = draw_parameters(config, len(images), torch.Generator().manual_seed(SEED))
    changed: Pixels = augment(images, parameters, config).round().byte().numpy()
    return changed.reshape(len(originals), NUM_DRAWS, *originals.shape[1:])


def _picture(originals: Pixels, draws: Pixels) -> Image.Image:
    """The images side by side, transparent in between."""
    size = IMAGE_SIZE * SCALE
    width = size + WIDE_GAP + NUM_DRAWS * (size + GAP) - GAP
    picture = Image.new("RGBA", (width, len(originals) * (size + GAP) - GAP))
    for row, (original, changed) in enumerate(zip(originals, draws, strict=True)):
        top = row * (size + GAP)
        picture.paste(_tile(original), (0, top))
        for column, image in enumerate(changed):
            picture.paste(_tile(image), (size + WIDE_GAP + column * (size + GAP), top))
    return picture


def _tile(image: npt.NDArray[Any]) -> Image.Image:
    tile = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).convert("RGBA")
    return tile.resize((IMAGE_SIZE * SCALE, IMAGE_SIZE * SCALE), Image.Resampling.NEAREST)
