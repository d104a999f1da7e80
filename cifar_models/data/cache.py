"""Decoded images, kept in the user's cache folder, so that no run decodes them again.

    <cache>/<key>.images    a header, then the images and labels as they are in memory, which are mapped from there

The key is made of the data's fingerprint and of the versions of what decodes. A file is used if it is the user's own,
no link, and has the checksum that its header says; any other is made anew. `CIFAR_GRID_CACHE` names another folder, or
`off` for none.
"""

import contextlib
import hashlib
import json
import math
import mmap
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
from PIL import __version__ as pillow_version
from PIL import features

from cifar_models.config import IMAGE_SIZE
from cifar_models.data.readers import Contents, Part

DECODED_LAYOUTS = ("parquet", "folder")
"""Layouts that are worth keeping: others hold pixels already."""

FORMAT = 1
"""Raised when the file, or what the readers make of an image, is another than before."""

MAGIC = b"cifar-grid images\n"
HEADER_BYTES = 2**16
"""Where the images begin; the names of 256 classes have room before."""

MAX_IMAGES = 10**8
UNUSED_S = 60 * 24 * 3600.0
"""Seconds after which a file that no run has used is removed."""


def read_kept(fingerprint: str) -> Contents | None:
    """The decoded images of some data, mapped from the file that keeps them; None if there is none that can be used.

    Args:
        fingerprint: Of the data.
    """
    path = _path(fingerprint)
    if path is None:
        return None
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
                return None
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            os.utime(file.fileno())
        return _contents(content, path.stem)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
    ):  # not there, damaged, or not what it should be
        return None


def keep(fingerprint: str, contents: Contents) -> None:
    """Keeps decoded images for later runs; where that fails, they will be decoded again."""
    path = _path(fingerprint)
    if path is None:
        return
    arrays = [np.ascontiguousarray(array) for part in (contents.train, contents.test) for array in part]
    header = {
        "key": path.stem,
        "classes": contents.classes,
        "sizes": [len(contents.train.labels), len(contents.test.labels)],
        "sha256": _sha256(*arrays),
    }
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_unused(path.parent)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".unfinished")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write((MAGIC + json.dumps(header).encode()).ljust(HEADER_BYTES))
                for array in arrays:
                    file.write(array.data)
            os.replace(unfinished, path)  # as a whole, whoever else makes the same one
        except BaseException:
            os.unlink(unfinished)
            raise


def cache_folder() -> Path | None:
    """The user's cache folder, which may not be there yet; None if nothing is to be kept."""
    chosen = os.environ.get("CIFAR_GRID_CACHE", "")
    if chosen == "off":
        return None
    return Path(chosen) if chosen else platformdirs.user_cache_path("cifar-grid")


def _path(fingerprint: str) -> Path | None:
    """The file of some data, on this version of what decodes; None if nothing is to be kept."""
    folder = cache_folder()
    if folder is None:
        return None
    decoders = [f"{name} {features.version(name)}" for name in ("jpg", "libjpeg_turbo", "zlib", "webp", "libtiff")]
    known = json.dumps([FORMAT, fingerprint, pillow_version, decoders])
    return folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.images"


def _contents(content: mmap.mmap, key: str) -> Contents:
    """What stands in a file.

    Raises:
        ValueError: It is not whole, or not what the key stands for.
    """
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError("not a file of images")
    header: dict[str, Any] = json.loads(content[len(MAGIC) : HEADER_BYTES])
    num_train, num_test = header["sizes"]
    if header["key"] != key or not all(isinstance(n, int) and 0 < n < MAX_IMAGES for n in (num_train, num_test)):
        raise ValueError("another file")
    offset, arrays = HEADER_BYTES, []
    for shape, dtype in _layout(num_train, num_test):
        count = math.prod(shape)
        arrays.append(np.frombuffer(content, dtype, count, offset).reshape(shape))  # an error if it is too short
        offset += arrays[-1].nbytes
    if _sha256(*arrays) != header["sha256"]:
        raise ValueError("damaged")
    train_images, train_labels, test_images, test_labels = arrays
    classes = tuple(str(name) for name in header["classes"])
    return Contents(classes, Part(train_images, train_labels), Part(test_images, test_labels))


def _layout(num_train: int, num_test: int) -> Iterator[tuple[tuple[int, ...], type[np.generic]]]:
    for number in (num_train, num_test):
        yield (number, 3, IMAGE_SIZE, IMAGE_SIZE), np.uint8
        yield (number,), np.int64


def _sha256(*arrays: npt.NDArray[Any]) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(array.data)
    return total.hexdigest()


def _remove_unused(folder: Path) -> None:
    for path in [*folder.glob("*.images"), *folder.glob("*.unfinished")]:
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - path.lstat().st_mtime > UNUSED_S:
                path.unlink()
