"""What costs time to make again, kept in a results folder and believed only if this user wrote it.

The folder may come from a stranger, who can forge any digest in it. So such a file begins with a keyed hash of its name
and content (HMAC-SHA-256), and the key lies in the user's cache folder, never in a results folder. A file that is
missing, damaged, forged or another user's is as if it were not there: what it held is made again, which costs time.
Without a cache folder (`CIFAR_GRID_CACHE=off`) nothing is kept, and nothing that was kept is believed.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path

from grid.records.files import Folder

KEY = "results.key"
KEY_BYTES = 32
MAX_BYTES = 2**30


def read_signed(folder: Folder, name: str) -> bytes | None:
    """The content of a file that `write_signed` wrote for this user; None if there is no such file."""
    key = _key()
    with contextlib.suppress(OSError):
        found = memoryview(folder.read(name, MAX_BYTES))
        if key and hmac.compare_digest(found[:KEY_BYTES], _signature(key, name, found[KEY_BYTES:])):
            return bytes(found[KEY_BYTES:])
    return None


def write_signed(folder: Folder, name: str, content: bytes) -> None:
    """Keeps something for later, in place of what was kept under this name; where it can't be, it is not."""
    if key := _key():
        with contextlib.suppress(OSError):
            folder.write(name, _signature(key, name, content) + content)


def _signature(key: bytes, name: str, content: bytes | memoryview) -> bytes:
    return hmac.digest(key, hashlib.sha256(name.encode()).digest() + hashlib.sha256(content).digest(), "sha256")


def _key() -> bytes | None:
    """This user's key, made where there is none yet; None if it can't be kept where only the user reads it."""
    from cifar_models.data.cache import cache_folder  # reads images, too, which not every command does

    folder = cache_folder()
    with contextlib.suppress(OSError):
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / KEY
            if not path.exists():
                _make_key(path)
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                status, key = os.fstat(file.fileno()), file.read(KEY_BYTES + 1)
            private = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
            return key if private and len(key) == KEY_BYTES else None
    return None


def _make_key(path: Path) -> None:
    """Writes a key, all of it or nothing; one that another process wrote in the meantime stays."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".unfinished")  # readable by the user alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        os.unlink(unfinished)
