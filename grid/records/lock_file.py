"""The files of a lock: everything that a lock does to a results folder."""

import contextlib
import uuid
from pathlib import Path

from pydantic import ValidationError

from grid.errors import UserError
from grid.records.files import Folder
from grid.records.holder import Holder


def create(path: Path, mine: Holder) -> bool:
    """Writes a lock that must not be there yet; returns whether it was not."""
    return Folder(path.parent).create(path.name, _content(mine))


def read(path: Path) -> Holder | None:
    """Who holds a lock; None if nobody does.

    Raises:
        UserError: It can't be known.
    """
    try:
        return Holder.model_validate_json(Folder(path.parent).read(path.name))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(f"{path}: not a lock of this version; remove it if no run is at work there") from error


def replace(claim: Path, path: Path) -> None:
    """Puts a claim in the place of a lock; the claim may have been taken over, and be gone."""
    with contextlib.suppress(FileNotFoundError):
        Folder(path.parent).move(claim.name, path.name)


def remove(path: Path) -> None:
    """Removes a lock; it may not be there."""
    Folder(path.parent).remove(path.name)


def refresh(path: Path, mine: Holder) -> bool:
    """Sets a lock's time to the file system's now, if it is still the one; returns whether it is."""
    return Folder(path.parent).refresh(path.name, _content(mine))


def changed(path: Path) -> int:
    """When a lock's file was last refreshed, in nanoseconds of its file system's clock; 0 if it is gone."""
    folder = Folder(path.parent)
    with contextlib.suppress(FileNotFoundError):
        folder.read(path.name)  # at an opening NFS asks its server; else it may tell what it remembers
    status = folder.status(path.name)
    return status.st_mtime_ns if status else 0


def age_s(path: Path) -> float:
    """Seconds since the last sign, by the clock of the file system alone: no machine's clock is asked."""
    probe = path.with_name(f".{uuid.uuid4().hex}.tmp")  # the name of what is cleared away if it is left
    Folder(path.parent).create(probe.name, b"")
    try:
        return (changed(probe) - changed(path)) / 1e9
    finally:
        remove(probe)


def _content(mine: Holder) -> bytes:
    return mine.model_dump_json(indent=1).encode()
