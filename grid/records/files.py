"""Files below a folder that may come from a stranger: never reached through a link, written whole or not at all.

A results folder is copied, unpacked and shared, so a name in it may be a symbolic link to anywhere, a pipe that is read
for ever, or a file of a terabyte. Every file and folder below it is therefore opened by `Folder`, one name after the
other, each relative to the folder that was opened before, and each only if it is no link (openat(2), `O_NOFOLLOW`).
What is named, written, moved or removed is then inside, whatever anyone puts there in the meantime. The folder itself
is the user's choice, and may be a link.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 64 * 2**20
"""Of a file that is read, unless the caller allows more: hundreds of times what such a file holds."""

UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.tmp")
"""Names of files that are not complete yet."""

STALE_S = 3600.0
"""Seconds after which what was never finished being written never will be."""

SETTLING_NS = 2 * 10**9
"""After a change, the time in which a further one may leave the same times, on a file system with coarse ones."""

LINK = "is a link, and nothing is followed through one; put the folder or file itself there"

READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A folder, and the only way to what is below it. It can be sent to any process that sees the same file system.

    Names are relative, with `/` between their parts: `"ab/abcd/trial.json"`. Errors are `OSError` with the whole path
    as `filename` and a message fit for a user as `strerror`.

    Attributes:
        root: The outermost folder, which the user named; a link there is followed.
        inside: Names from there to this folder.
    """

    def __init__(self, root: Path, *inside: str) -> None:
        self.root = root
        self.inside = inside

    @property
    def path(self) -> Path:
        """The path of the folder; only for messages, since it may lead through links."""
        return self.root.joinpath(*self.inside)

    def below(self, name: str) -> "Folder":
        """Returns a folder inside this one; it need not exist yet."""
        return Folder(self.root, *self.inside, *_parts(name))

    def beside(self, name: str) -> "Folder":
        """Returns a folder with the same parent as this one, which must not be the root."""
        assert self.inside, f"what is beside {self.root} is not below it"
        return Folder(self.root, *self.inside[:-1], *_parts(name))

    def absolute(self) -> "Folder":
        """Returns the same folder with an absolute path, for processes with another working directory."""
        return Folder(self.root.resolve(), *self.inside)

    def make(self) -> None:
        """Makes the folder, and those around it, where they are not there yet."""
        with self._opened(make=True):
            pass

    def check_writable(self) -> None:
        """Makes a file in the folder and removes it.

        Raises:
            OSError: The folder is not there, or nothing can be written in it.
        """
        with self._around(f".{uuid.uuid4().hex}") as (folder, leaf):
            os.close(os.open(leaf, WRITE_NEW, 0o666, dir_fd=folder))
            os.unlink(leaf, dir_fd=folder)

    def kind(self, name: str) -> str | None:
        """Returns the kind of an entry: `file`, `folder` or `other` (a link, a pipe, …); None if there is none."""
        found = self.status(name)
        return None if found is None else _kind(stat.S_ISREG(found.st_mode), stat.S_ISDIR(found.st_mode))

    def status(self, name: str) -> os.stat_result | None:
        """Returns the status of an entry, without following a link; None if there is none."""
        with contextlib.suppress(FileNotFoundError), self._around(name) as (folder, leaf):
            return os.stat(leaf, dir_fd=folder, follow_symlinks=False)
        return None

    def names(self) -> list[str]:
        """Returns the sorted names of all entries, hidden ones too; none if there is no such folder."""
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            return sorted(os.listdir(folder))
        return []

    def kinds(self) -> dict[str, str]:
        """Returns the kind of each entry by its name, sorted, hidden ones too; none if there is no such folder."""
        with contextlib.suppress(FileNotFoundError), self._opened() as folder, os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
            return {of.name: _kind(of.is_file(follow_symlinks=False), of.is_dir(follow_symlinks=False)) for of in found}
        return {}

    def stamps(self, *, settled: bool = False) -> dict[str, str]:
        """Returns, for each entry, what differs after every change of it: the system sets the time of a change.

        Args:
            settled: Whether nobody changes anything there in this moment. Else what has just changed has another stamp
                at every call, since a further change might leave it the same times.
        """
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            entries = {name: os.stat(name, dir_fd=folder, follow_symlinks=False) for name in os.listdir(folder)}
            return {name: _stamp(status, settled) for name, status in entries.items()}
        return {}

    def read(self, name: str, max_bytes: int = MAX_BYTES) -> bytes:
        """Returns the content of a file.

        Raises:
            FileNotFoundError: It is not there.
            OSError: It is a link or no file, is larger than `max_bytes`, or can't be read.
        """
        with self._around(name) as (folder, leaf):
            status = os.stat(leaf, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):  # to open a pipe or a device may already wait, or do something
                raise OSError(errno.EINVAL, LINK if stat.S_ISLNK(status.st_mode) else "not a file")
            with os.fdopen(os.open(leaf, READ_FILE, dir_fd=folder), "rb") as file:
                opened = os.fstat(file.fileno())
                if not stat.S_ISREG(opened.st_mode):
                    raise OSError(errno.EINVAL, "not a file")
                if opened.st_size > max_bytes:
                    raise OSError(errno.EFBIG, f"has {opened.st_size:,} bytes, where at most {max_bytes:,} are read")
                return file.read(min(opened.st_size, max_bytes))  # read(n) makes room for n bytes

    def write(self, name: str, content: bytes) -> None:
        """Writes a file in place of an earlier one, on disk when this returns; folders around it are made.

        Raises:
            OSError: It can't be written, or the disk is full; the earlier file is as it was.
        """
        with self.writing(name) as file:
            file.write(content)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to fill; it takes the place of an earlier one when this ends. Otherwise the same as `write`."""
        with self._unfinished(name) as (folder, leaf, unfinished, file):
            yield file
            _to_disk(file)
            os.replace(unfinished, leaf, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file that must not be there yet; returns whether it was this call that made it.

        A link to a file that is already complete is atomic on NFS too, where `O_EXCL` may not be.
        Source: open(2): over NFS the answer may be lost, and the number of links tells what became of it.
        """
        with self._unfinished(name) as (folder, leaf, unfinished, file):
            file.write(content)
            _to_disk(file)
            try:
                os.link(unfinished, leaf, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                return os.stat(unfinished, dir_fd=folder, follow_symlinks=False).st_nlink == 2
            return True

    def refresh(self, name: str, content: bytes) -> bool:
        """Sets a file's time to the file system's now, if it is there and holds this; returns whether it does.

        Whatever takes the file's place in the meantime is not touched.
        """
        with contextlib.suppress(FileNotFoundError), self._around(name) as (folder, leaf):
            if not stat.S_ISREG(os.stat(leaf, dir_fd=folder, follow_symlinks=False).st_mode):
                return False
            with os.fdopen(os.open(leaf, READ_FILE, dir_fd=folder), "rb") as file:
                if file.read(len(content) + 1) != content:
                    return False
                os.utime(file.fileno())
                return True
        return False

    def move(self, name: str, to: str) -> None:
        """Renames an entry, and replaces a file of the new name; a link itself is renamed, not its target."""
        with self._around(name) as (source, leaf), self._around(to, make=True) as (target, new):
            os.replace(leaf, new, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(target)

    def remove(self, name: str) -> None:
        """Removes a file, a link itself, or a folder with all that is in it; it may not be there.

        Raises:
            OSError: It can't be removed, or not all of it.
        """
        with contextlib.suppress(FileNotFoundError), self._around(name) as (folder, leaf):
            if stat.S_ISDIR(os.stat(leaf, dir_fd=folder, follow_symlinks=False).st_mode):
                shutil.rmtree(leaf, dir_fd=folder)  # follows no link inside either
            else:
                os.unlink(leaf, dir_fd=folder)

    def clear(self, leftover: re.Pattern[str] = UNFINISHED) -> None:
        """Removes files that a killed process left; younger ones may belong to a process that is still at work."""
        for name in self.names():
            status = self.status(name) if leftover.fullmatch(name) else None
            if status is not None and time.time() - status.st_mtime > STALE_S:
                with contextlib.suppress(OSError):  # another user's
                    self.remove(name)

    @contextlib.contextmanager
    def _unfinished(self, name: str) -> Iterator[tuple[int, str, str, BinaryIO]]:
        """The opened folder of a file, the file's name, and a new file under another name, removed afterwards."""
        with self._around(name, make=True) as (folder, leaf):
            unfinished = f".{uuid.uuid4().hex}.tmp"  # not longer than a name may be, whatever the file is called
            try:
                with os.fdopen(os.open(unfinished, WRITE_NEW, 0o666, dir_fd=folder), "wb") as file:
                    yield folder, leaf, unfinished, file
            finally:
                with contextlib.suppress(FileNotFoundError):  # else a full disk would be filled further
                    os.unlink(unfinished, dir_fd=folder)

    @contextlib.contextmanager
    def _around(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The opened folder that holds a name, and the last part of the name; errors inside get the whole path."""
        *folders, leaf = _parts(name)
        with Folder(self.root, *self.inside, *folders)._opened(make=make) as folder:
            try:
                yield folder, leaf
            except OSError as error:
                raise _located(error, self.path / name) from error

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[int]:
        """The folder's descriptor."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for place, part in enumerate(self.inside):
                try:
                    inner = _open_folder(folder, part, make=make)
                except OSError as error:
                    raise _located(error, self.root.joinpath(*self.inside[: place + 1])) from error
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _kind(is_file: bool, is_folder: bool) -> str:
    return "file" if is_file else "folder" if is_folder else "other"


def _stamp(status: os.stat_result, settled: bool) -> str:
    """What `Folder.stamps` says of an entry."""
    age_ns = time.time_ns() - max(status.st_ctime_ns, status.st_mtime_ns)
    mark = "" if settled or age_ns > SETTLING_NS else time.monotonic_ns()
    return f"{status.st_mode}.{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}.{mark}"


def _parts(name: str) -> list[str]:
    """Splits a name into the folders to go through and the last part.

    Raises:
        ValueError: One of them leads elsewhere.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"{name!r} is no name below a folder")
    return parts


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _open_folder(around: int, name: str, *, make: bool) -> int:
    """Opens a folder in one that is open."""
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=around)
        return os.open(name, READ_FOLDER, dir_fd=around)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        is_link = stat.S_ISLNK(os.stat(name, dir_fd=around, follow_symlinks=False).st_mode)
        raise NotADirectoryError(errno.ENOTDIR, LINK if is_link else "not a folder") from error


def _located(error: OSError, path: Path) -> OSError:
    """The same error with the whole path in it, unless it has one."""
    if error.filename is not None and os.path.isabs(error.filename):
        return error
    located: OSError = type(error)(error.errno or errno.EIO, error.strerror or str(error), str(path))
    return located
