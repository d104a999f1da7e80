"""Downloads a CIFAR as its authors publish it, by torchvision's own downloader."""

import contextlib
import http.client
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cifar_models.data.cifar import Cifar
from cifar_models.data.errors import DataError

STALL_S = 30
"""Seconds without a byte after which a connection is given up; torchvision itself would wait forever."""


def download(cifar: Cifar, data_dir: Path) -> None:
    """Downloads the batches and puts them, complete, into `data_dir / cifar.batches_folder`.

    The archive is unpacked only with its published checksum. One that lies in `data_dir` already is used.

    Args:
        cifar: Which of the two.
        data_dir: Made if it does not exist.

    Raises:
        DataError: Without a network, without room on the disk, or if what came is not what was published.
    """
    from torchvision import datasets  # takes seconds to import, and is of use only here
    from torchvision.datasets.utils import download_and_extract_archive

    published = getattr(datasets, cifar.torchvision)
    is_new = not data_dir.exists()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Moved into place as a whole: an interrupted download, or a second one at the same time, leaves no half.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-") as unpacked, stalling_is_an_error(STALL_S):
            has_archive = (data_dir / published.filename).is_file()
            archive_dir = data_dir if has_archive else unpacked
            download_and_extract_archive(published.url, archive_dir, unpacked, published.filename, published.tgz_md5)
            _move_into_place(Path(unpacked) / cifar.batches_folder, data_dir / cifar.batches_folder)
    except (OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
        if is_new:
            with contextlib.suppress(OSError):
                data_dir.rmdir()
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise DataError(
            f"can't download {cifar.title} ({reason}): put the torchvision folder "
            f"{cifar.batches_folder} or Hugging Face's train-*.parquet and test-*.parquet in a folder DIR and pass "
            "--data-dir DIR"
        ) from error


def _move_into_place(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same files
            raise


@contextlib.contextmanager
def stalling_is_an_error(seconds: float) -> Iterator[None]:
    """Whoever waits for so long without a byte, inside this, gets an `OSError`."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
