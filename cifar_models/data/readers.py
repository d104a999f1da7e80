"""Readers of data sets: one a layout, each says what it would read (for the fingerprint) and reads it."""

import hashlib
import importlib.util
import pickle
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cifar_models.config import IMAGE_SIZE
from cifar_models.data.cifar import Cifar
from cifar_models.data.errors import DataError
from cifar_models.data.strata import fixed_test_part

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

MAX_CLASSES = 256
"""So many, and no more, because a predicted class is kept as uint8."""


class Part(NamedTuple):
    """The training or the test images: `(N, 3, 32, 32) uint8`, and their classes, `(N,) int64` from 0."""

    images: Images
    labels: Labels


class Contents(NamedTuple):
    """All that a reader reads; `classes` are the names, in the order of the labels."""

    classes: tuple[str, ...]
    train: Part
    test: Part


class Reader(Protocol):
    """Reads one layout. `layout` names it in the fingerprint."""

    @property
    def layout(self) -> str:
        """The layout's name, part of the fingerprint."""

    def checksums(self) -> Iterator[tuple[str, bytes]]:
        """Name and SHA-256 of everything that `read` reads, in its order, without decoding an image."""

    def read(self) -> Contents:
        """Reads the data.

        Raises:
            DataError: If it can't be used.
        """


def file_sha256(path: Path) -> bytes:
    """The SHA-256 of a file, 32 bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True)
class DigitsReader:
    """scikit-learn's 1,797 handwritten digits of 8x8: each pixel becomes 4x4, its 0..16 becomes 0..255, grey as RGB.

    They have no test part, so a fixed fifth becomes one.
    """

    layout = "digits"

    def checksums(self) -> Iterator[tuple[str, bytes]]:
        """The digits are embedded: one entry, a hash of their values."""
        yield "digits", hashlib.sha256(_digits_table().tobytes()).digest()

    def read(self) -> Contents:
        """Reads and enlarges the digits."""
        table = _digits_table()
        labels = table[:, 64].astype(np.int64)
        grey = (table[:, :64].reshape(-1, 1, 8, 8).astype(np.int64) * 255 + 8) // 16
        images = grey.astype(np.uint8).repeat(IMAGE_SIZE // 8, axis=2).repeat(IMAGE_SIZE // 8, axis=3)
        images = images.repeat(3, axis=1)
        test = fixed_test_part(labels)
        classes = tuple(str(digit) for digit in range(10))
        return Contents(classes, Part(images[~test], labels[~test]), Part(images[test], labels[test]))


def _digits_table() -> npt.NDArray[np.uint8]:
    """`(1797, 65)`: 64 values of 0..16, then the digit.

    The file inside scikit-learn is read directly where it is known to be: importing scikit-learn takes nearly
    two seconds, and a plan of the quick profile would have no other use for it.
    """
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return np.loadtxt(file, delimiter=",", dtype=np.uint8)
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target]).astype(np.uint8)


@dataclass(frozen=True)
class BatchesReader:
    """A CIFAR as its authors publish it and torchvision unpacks it: pickled batches in one folder.

    Unpickling runs whatever a pickle says, so only bytes with the published checksum are unpickled.

    Attributes:
        cifar: Which of the two.
        folder: The folder that holds the batches.
    """

    cifar: Cifar
    folder: Path
    layout = "batches"

    def checksums(self) -> Iterator[tuple[str, bytes]]:
        """The batches, training first."""
        for name, _ in self.cifar.train_batches + self.cifar.test_batches:
            if not (self.folder / name).is_file():
                raise self._unusable(name, "is missing")
            yield name, file_sha256(self.folder / name)

    def read(self) -> Contents:
        """Checks and reads the batches."""
        return Contents(self.cifar.classes, self._part(self.cifar.train_batches), self._part(self.cifar.test_batches))

    def _part(self, batches: Sequence[tuple[str, str]]) -> Part:
        contents = [self._unpickled(name, md5) for name, md5 in batches]
        images = np.concatenate([batch["data"] for batch in contents]).reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE)
        labels = np.concatenate([batch[self.cifar.batch_label_key] for batch in contents]).astype(np.int64)
        return Part(images, labels)

    def _unpickled(self, name: str, md5: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            raise self._unusable(name, "is missing")
        content = path.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise self._unusable(name, "does not have its published checksum")
        with warnings.catch_warnings():
            # numpy 2.4.0 to 2.4.4 complain of how the numpy of 2009 pickled a dtype (numpy issue 30786).
            warnings.simplefilter("ignore")
            batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
        return batch

    def _unusable(self, name: str, what: str) -> DataError:
        return DataError(
            f"{self.folder / name} {what}: delete the folder {self.folder.name} so that {self.cifar.title} is "
            "downloaded again, or copy it anew"
        )
