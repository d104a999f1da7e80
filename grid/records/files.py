"""Files that are there whole or not at all, whatever kills the process that writes them."""

import os
import shutil
import stat
import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in place of an earlier one, on disk when this returns.

    Raises:
        OSError: It can't be written, or the disk is full; the earlier file is as it was.
    """
    unfinished = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        sync(unfinished)
        os.replace(unfinished, path)
    except OSError:  # a full disk should not be filled further
        remove(unfinished)
        raise
    sync(path.parent)


def read_regular(path: Path) -> bytes:
    """The bytes of a file; a pipe or a device in its place would be read forever.

    Raises:
        OSError: It is no file, or can't be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a file", str(path))
    return path.read_bytes()


def remove(path: Path) -> None:
    """Removes a file, a link or a folder as far as that can be done; it may not be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
