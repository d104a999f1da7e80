"""What stands around a results folder and must never change: looked at before and after, to the last byte."""

import hashlib
import os
import stat
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

MARKER = "MARKER-of-a-victim-5d1f"
"""Stands in every file of the victims; where it turns up, one was read."""

OLD_S = 3 * 24 * 3600.0
"""Age of the victims: older than whatever is cleared away for its age."""


class Entry(NamedTuple):
    """What there is to know of a file, folder, link or device, but for its other names and when it was last read."""

    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    device: int
    content: str


Snapshot = Mapping[str, Entry]
"""By path relative to the folder."""


def look_at(folder: Path, leave_out: Collection[Path] = ()) -> Snapshot:
    """Everything below a folder, and the folder itself.

    Args:
        folder: Where to look.
        leave_out: Folders that may change; they themselves have to stay folders, and what is in them is not looked at.
    """
    found: dict[str, Entry] = {}
    _look(os.fsencode(folder), b".", {os.fsencode(path) for path in leave_out}, found)
    return found


def _look(path: bytes, name: bytes, leave_out: Collection[bytes], found: dict[str, Entry]) -> None:
    status = os.lstat(path)
    shown = os.fsdecode(name)
    if path in leave_out:
        found[shown] = Entry(stat.S_IFMT(status.st_mode), (0, 0), 0, 0, "left out")
        return
    content = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.fsdecode(os.readlink(path))
    owner = (status.st_uid, status.st_gid)
    found[shown] = Entry(status.st_mode, owner, status.st_mtime_ns, status.st_rdev, content)
    if stat.S_ISDIR(status.st_mode):
        for child in sorted(os.listdir(path)):
            _look(path + b"/" + child, name + b"/" + child, leave_out, found)


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """A line for everything that is gone, new or another."""
    gone = [f"{name!r} is gone" for name in before if name not in after]
    new = [f"{name!r} is new" for name in after if name not in before]
    changed = []
    for name in before:
        if name in after and (old := before[name]) != (now := after[name]):
            fields = [field for field in Entry._fields if getattr(old, field) != getattr(now, field)]
            changed.append(f"{name!r}: another {', '.join(fields)}")
    return gone + new + changed


def make_victims(folder: Path) -> None:
    """A folder of files and folders of many kinds, all of them old."""
    (folder / "photos" / "2019").mkdir(parents=True)
    for name in ("letter.txt", "photos/1.png", "photos/2019/2.png", "trial.json", "predictions.npz", ".hidden"):
        (folder / name).write_text(f"{MARKER} {name}\n")
    (folder / "key").write_text(f"{MARKER} secret\n")
    (folder / "key").chmod(0o600)
    (folder / "link").symlink_to("letter.txt")
    (folder / ("ab" + "0" * 22)).mkdir()
    make_old(folder)


def make_old(folder: Path) -> None:
    """Gives everything in a folder, and the folder, a time long ago."""
    then = time.time() - OLD_S
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (then, then), follow_symlinks=False)
    os.utime(folder, (then, then))
