"""The data sets: a row each, with what it is and how its reader is found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cifar_models.config import DatasetName
from cifar_models.data.cifar import CIFAR10, CIFAR100, Cifar
from cifar_models.data.download import download as download_cifar
from cifar_models.data.errors import DataError
from cifar_models.data.folder import FolderReader
from cifar_models.data.parquet import ParquetReader
from cifar_models.data.readers import BatchesReader, DigitsReader, Reader

DEFAULT_DATA_DIR = Path("data")
"""Where the CIFARs are looked for and downloaded to, in the current folder, when no other is given."""


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        about: What it is, for a page.
        find: Its reader, from the folder that the user names (None without one) and whether it may be downloaded.
        is_embedded: Whether it comes with a package, and is in no folder that could be named.
    """

    about: str
    find: Callable[[Path | None, bool], Reader]
    is_embedded: bool = False


def given_folder(name: str, data_dir: Path | None) -> Path:
    """The folder of a data set that lies only where the user says.

    Raises:
        DataError: None is given, or there is none.
    """
    _check(data_dir)
    if data_dir is None:
        raise DataError(f"data set {name}: say where it is with --data-dir DIR")
    return data_dir


def find_cifar(cifar: Cifar, data_dir: Path | None, download: bool) -> Reader:
    """The reader of a CIFAR, which is downloaded if it is in no folder that the user names.

    Raises:
        DataError: It is not there, and can't or may not be downloaded.
    """
    _check(data_dir)
    root = data_dir or DEFAULT_DATA_DIR
    reader = _lying_cifar(cifar, root)
    if reader is None:
        # a folder that the user names should hold the data, if only as the archive: nothing is downloaded into it
        if not download or (data_dir is not None and not (root / cifar.archive).is_file()):
            raise DataError(
                f"{root}: found no {cifar.title}, neither the torchvision folder {cifar.batches_folder} nor Hugging "
                "Face's train-*.parquet and test-*.parquet; put one of them there, pass another --data-dir DIR, "
                f"or pass none to download it to ./{DEFAULT_DATA_DIR}"
            )
        download_cifar(cifar, root)
        reader = BatchesReader(cifar, root / cifar.batches_folder)
    return reader


def _lying_cifar(cifar: Cifar, root: Path) -> Reader | None:
    for folder in (root, root / cifar.batches_folder):
        if folder.name == cifar.batches_folder and folder.is_dir():
            return BatchesReader(cifar, folder)
    for clone in (root, root / cifar.repository):
        for folder in (clone, clone / "data", clone / "plain_text", clone / cifar.repository):
            if any(folder.glob("train-*.parquet")) or any(folder.glob("test-*.parquet")):
                return ParquetReader(cifar, folder)
    return None


def _check(data_dir: Path | None) -> None:
    if data_dir is not None and not data_dir.is_dir():
        problem = "is a file, not a folder" if data_dir.exists() else "does not exist"
        raise DataError(f"--data-dir {data_dir} {problem}: give the folder that holds the data")


SOURCES: dict[DatasetName, Source] = {
    "digits": Source(
        "scikit-learn's handwritten digits, enlarged to 32×32: a stand-in that runs offline and says "  # noqa: RUF001
        "nothing about CIFAR-10",
        find=lambda data_dir, download: DigitsReader(),
        is_embedded=True,
    ),
    "cifar10": Source(
        "CIFAR-10: 60,000 colour photographs of 32×32 pixels in 10 classes",  # noqa: RUF001
        find=partial(find_cifar, CIFAR10),
    ),
    "cifar100": Source(
        "CIFAR-100: 60,000 colour photographs of 32×32 pixels in 100 classes",  # noqa: RUF001
        find=partial(find_cifar, CIFAR100),
    ),
    "folder": Source(
        "the images of a folder of one's own, a folder a class",
        find=lambda data_dir, download: FolderReader(given_folder("folder", data_dir)),
    ),
}
"""Every data set, by its name in `DataConfig`."""
