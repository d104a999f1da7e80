"""The images: loaded under one name, whatever layout they lie in, and divided into train, validation and test."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar_models.config import DataConfig
from cifar_models.data.cache import DECODED_LAYOUTS, keep, read_kept
from cifar_models.data.errors import DataError
from cifar_models.data.readers import Images, Labels, Reader
from cifar_models.data.sources import SOURCES
from cifar_models.data.strata import Indices, stratified_order


@dataclass(frozen=True)
class Dataset:
    """A data set as it was read, before any division. The arrays are not to be written to.

    Attributes:
        classes: Names of the C classes, in the order of their labels.
        fingerprint: Hash of the source bytes, as `data_fingerprint` gives it.
        train_images: `(N, 3, 32, 32) uint8`, RGB.
        train_labels: `(N,) int64`, 0 to C - 1.
        test_images: `(M, 3, 32, 32) uint8`, RGB.
        test_labels: `(M,) int64`, 0 to C - 1.
    """

    classes: tuple[str, ...]
    fingerprint: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


@dataclass(frozen=True)
class Split:
    """What a trial trains on, validates on and is tested on, each in the data set's own order.

    Images are `(N, 3, 32, 32) uint8`, labels `(N,) int64`. The arrays may share memory with the data set's.

    Attributes:
        train_images: The images to train on.
        train_labels: Their classes.
        val_images: The images that models are selected on.
        val_labels: Their classes.
        test_images: The images that models are reported on.
        test_labels: Their classes.
        num_classes: Number of classes, C; labels are 0 to C - 1.
    """

    train_images: Images
    train_labels: Labels
    val_images: Images
    val_labels: Labels
    test_images: Images
    test_labels: Labels
    num_classes: int


def data_fingerprint(name: str, data_dir: Path | None, *, download: bool = True) -> str:
    """The identity of a data set: a hash of the names and bytes that would be read, without decoding an image.

    It does not depend on where the data lies. The same images in another layout have another one.

    Args:
        name: One of `SOURCES`.
        data_dir: Where the data lies; None for the default. `digits` needs none.
        download: Whether a CIFAR that isn't there may be downloaded.

    Returns:
        64 hexadecimal digits of a SHA-256.

    Raises:
        DataError: If the data isn't there or can't be used.
    """
    with _unreadable_is_data_error():
        return _fingerprint(_find(name, data_dir, download))


def load(name: str, data_dir: Path | None, *, download: bool = True, known_fingerprint: str | None = None) -> Dataset:
    """Reads a data set; images that were decoded before come from the user's cache folder.

    Args:
        name: One of `SOURCES`.
        data_dir: Where the data lies; None for the default. `digits` needs none. The CIFARs are also
            found in the folders that torchvision and the Hugging Face hub give them below it.
        download: Whether a CIFAR that isn't in the default folder may be downloaded to it.
        known_fingerprint: What `data_fingerprint` has just given: images that are kept under it are taken without
            another look at the data.

    Returns:
        All its images.

    Raises:
        DataError: If the data isn't there or can't be used.
    """
    with _unreadable_is_data_error():
        reader = _find(name, data_dir, download)
        is_decoded = reader.layout in DECODED_LAYOUTS
        fingerprint = known_fingerprint or _fingerprint(reader)
        contents = read_kept(fingerprint) if is_decoded else None
        if contents is None:
            contents = reader.read()
            read, fingerprint = fingerprint, _fingerprint(reader)  # the data may have changed in the meantime
            if is_decoded and read == fingerprint:
                keep(fingerprint, contents)
        classes, train, test = contents
        return Dataset(classes, fingerprint, train.images, train.labels, test.images, test.labels)


def split(dataset: Dataset, config: DataConfig) -> Split:
    """Divides a data set: stratified, and the same for the same `config` on every machine.

    Every class has its share of each part, rounded up or down to whole images. The validation images do not
    depend on `train_size`, and a larger train (or test) part contains every smaller one.

    Args:
        dataset: What `load` gave.
        config: Sizes, fraction and seed; its name is not looked at.

    Returns:
        Three parts without a common image.

    Raises:
        DataError: If there are not enough images, in all or of a class.
    """
    _check_sizes(dataset, config)
    labels, names = dataset.train_labels, dataset.classes
    order = stratified_order(labels, _random(config, 0))
    num_val = round(config.val_fraction * len(labels))
    val, rest = np.sort(order[:num_val]), np.sort(order[num_val:])
    _check_all_present(labels[rest], names, f"val_fraction {config.val_fraction} leaves no training image", "smaller")
    train = rest
    if config.train_size is not None:
        draw = rest[stratified_order(labels[rest], _random(config, 1))]
        train = np.sort(draw[: config.train_size])
        _, first = np.unique(labels[draw], return_index=True)
        problem = f"train_size {config.train_size} leaves no training image"
        _check_all_present(labels[train], names, problem, f"at least {first.max() + 1}")
    test_images, test_labels = dataset.test_images, dataset.test_labels
    if config.test_size is not None:
        test = np.sort(stratified_order(test_labels, _random(config, 2))[: config.test_size])
        test_images, test_labels = test_images[test], test_labels[test]
    images = dataset.train_images
    return Split(images[train], labels[train], images[val], labels[val], test_images, test_labels, len(names))


def _find(name: str, data_dir: Path | None, download: bool) -> Reader:
    """The reader of the layout that is there."""
    if name not in SOURCES:
        raise DataError(f"data: there is no data set {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name].find(data_dir, download)


def _fingerprint(reader: Reader) -> str:
    total = hashlib.sha256(reader.layout.encode() + b"\0")
    for name, checksum in reader.checksums():
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + checksum)
    return total.hexdigest()


@contextlib.contextmanager
def _unreadable_is_data_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DataError(
            f"{where}can't be read ({error.strerror or error}); check the path and its permissions"
        ) from error


def _random(config: DataConfig, draw: int) -> np.random.RandomState:
    """A generator for each draw, so that none depends on how much another drew."""
    return np.random.RandomState([config.split_seed, draw])


def _check_sizes(dataset: Dataset, config: DataConfig) -> None:
    for name, count in zip(dataset.classes, _counts(dataset.train_labels, len(dataset.classes)), strict=True):
        if count < 2:
            raise DataError(
                f"class {name} has {count} training images, but needs 2: one to train on, one to validate on"
            )
    num_images, num_test = len(dataset.train_labels), len(dataset.test_labels)
    num_val = round(config.val_fraction * num_images)
    if num_val == 0:
        raise DataError(f"val_fraction {config.val_fraction} of {num_images} training images is none: use a larger one")
    if config.train_size is not None and config.train_size > num_images - num_val:
        raise DataError(
            f"train_size {config.train_size} is too large: {num_images - num_val} of {num_images} training images are "
            f"left after {num_val} for validation"
        )
    if config.test_size is not None and config.test_size > num_test:
        raise DataError(f"test_size {config.test_size} is too large: there are {num_test} test images")


def _check_all_present(labels: Labels, classes: tuple[str, ...], problem: str, remedy: str) -> None:
    missing = np.flatnonzero(_counts(labels, len(classes)) == 0)
    if len(missing):
        raise DataError(f"{problem} of class {classes[missing[0]]}: it must be {remedy}")


def _counts(labels: Labels, num_classes: int) -> Indices:
    return np.bincount(labels, minlength=num_classes)
