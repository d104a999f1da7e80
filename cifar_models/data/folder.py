"""The reader of any folder of class folders of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar_models.data.decoding import decode_all, decode_fitted
from cifar_models.data.errors import DataError
from cifar_models.data.readers import MAX_CLASSES, Contents, Labels, Part, file_sha256
from cifar_models.data.strata import MIN_FOR_FIXED_TEST_PART, fixed_test_part

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What an image's file name ends in, in small or capital letters; other files are ignored."""


@dataclass(frozen=True)
class FolderReader:
    """Images in `train/<class>/` and `test/<class>/`, or in `<class>/` alone: then a fixed fifth becomes the test part.

    Classes and images are in the order of their names. Hidden files, other kinds of files and deeper
    folders are ignored. Images are fitted to 32x32 (see `decode_fitted`).

    Attributes:
        root: The folder.
    """

    root: Path
    layout = "folder"

    def checksums(self) -> Iterator[tuple[str, bytes]]:
        """Every image, training first."""
        for folder in self._parts():
            for path in _images_by_class(folder)[1]:
                yield path.relative_to(self.root).as_posix(), file_sha256(path)

    def read(self) -> Contents:
        """Reads and decodes all images."""
        classes, paths, labels = _images_by_class(self._parts()[0])
        if len(self._parts()) == 1:
            self._check_divisible(classes, labels)
            images = decode_all(paths, decode_fitted)
            test = fixed_test_part(labels)
            return Contents(classes, Part(images[~test], labels[~test]), Part(images[test], labels[test]))
        test_classes, test_paths, test_labels = _images_by_class(self.root / "test")
        if test_classes != classes:
            raise DataError(f"{self.root}: {_difference(classes, test_classes)}; both need the same class folders")
        train = Part(decode_all(paths, decode_fitted), labels)
        return Contents(classes, train, Part(decode_all(test_paths, decode_fitted), test_labels))

    def _parts(self) -> list[Path]:
        """The folder that holds the class folders, or the two that do.

        A class may itself be called train (CIFAR-100 has one): then it holds images, not folders.
        """
        train, test = (self.root / part for part in ("train", "test"))
        divided = [part for part in (train, test) if part.is_dir() and _subfolders(part)]
        if not divided:
            return [self.root]
        if len(divided) == 1:
            missing = train if divided == [test] else test
            raise DataError(
                f"{self.root}: {divided[0].name}/ holds class folders but {missing.name}/ does not; add it, or put the "
                f"class folders into {self.root} itself"
            )
        return divided

    def _check_divisible(self, classes: Sequence[str], labels: Labels) -> None:
        for name, count in zip(classes, np.bincount(labels), strict=True):
            if count < MIN_FOR_FIXED_TEST_PART:
                raise DataError(
                    f"{self.root / name}: {count} images are too few to set a fifth aside for testing; add some (at "
                    f"least {MIN_FOR_FIXED_TEST_PART}), or divide the data into train/ and test/"
                )


def _images_by_class(folder: Path) -> tuple[tuple[str, ...], list[Path], Labels]:
    """Names of the classes, and each image's path and class."""
    class_folders = _subfolders(folder)
    if len(class_folders) < 2:
        found = f"only the class folder {class_folders[0].name}" if class_folders else "no class folders"
        raise DataError(f"{folder}: found {found}; put the images of each class into a folder of its own, at least two")
    if len(class_folders) > MAX_CLASSES:
        raise DataError(f"{folder}: found {len(class_folders)} class folders; at most {MAX_CLASSES} are possible")
    images = [_images_in(class_folder) for class_folder in class_folders]
    labels = np.repeat(np.arange(len(images), dtype=np.int64), [len(paths) for paths in images])
    return tuple(c.name for c in class_folders), [path for paths in images for path in paths], labels


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images_in(class_folder: Path) -> list[Path]:
    paths = sorted(
        path
        for path in class_folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise DataError(f"{class_folder}: found no images ({', '.join(SUFFIXES)}); add some or remove the folder")
    return paths


def _difference(train: Sequence[str], test: Sequence[str]) -> str:
    """Says which class only one of the two has."""
    only_train = [name for name in train if name not in test]
    if only_train:
        return f"test/ has no class folder {only_train[0]}"
    return f"train/ has no class folder {next(name for name in test if name not in train)}"
