"""The file of a lock: everything that a lock does to a results folder."""

import contextlib
import uuid
from typing import NamedTuple

from pydantic import ValidationError

from grid.errors import UserError
from grid.records.files import Folder
from grid.records.holder import Holder

LOCK = "run.lock"


class LockFile(NamedTuple):
    """A file that says who holds a lock, and whose time is that of the holder's last sign of life.

    Attributes:
        folder: The results folder.
        name: Name of the file in it.
    """

    folder: Folder
    name: str

    def __str__(self) -> str:
        return str(self.folder.path / self.name)

    def claim_on(self, holder: Holder) -> "LockFile":
        """The file of whoever is about to take this lock over from a holder."""
        return LockFile(self.folder, f"{LOCK}.{holder.token}")

    def create(self, mine: Holder) -> bool:
        """Writes the file, if nobody holds the lock; returns whether that was so."""
        return self.folder.create(self.name, mine.as_json())

    def refresh(self, mine: Holder) -> bool:
        """Sets the file's time to the file system's now, if it still names this holder; returns whether it does."""
        return self.folder.refresh(self.name, mine.as_json())

    def read(self) -> Holder | None:
        """Who holds the lock; None if nobody does.

        Raises:
            UserError: It can't be known.
        """
        try:
            return Holder.model_validate_json(self.folder.read(self.name))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise UserError(f"{self}: not a lock of this version; remove it if no run is at work there") from error

    def replace(self, other: "LockFile") -> None:
        """Puts this file in the place of another one; this one may have been taken over, and be gone."""
        with contextlib.suppress(FileNotFoundError):
            self.folder.move(self.name, other.name)

    def remove(self) -> None:
        """Removes the file; it may not be there."""
        self.folder.remove(self.name)

    def changed_ns(self) -> int:
        """When the file was last refreshed, in nanoseconds of its file system's clock; 0 if it is gone."""
        with contextlib.suppress(FileNotFoundError):
            self.folder.read(self.name)  # at an opening NFS asks its server; else it may tell what it remembers
        status = self.folder.status(self.name)
        return status.st_mtime_ns if status else 0

    def age_s(self) -> float:
        """Seconds since the last sign, by the clock of the file system alone: no machine's clock is asked."""
        probe = LockFile(self.folder, f".{uuid.uuid4().hex}.tmp")  # the name of what is cleared away if it is left
        self.folder.create(probe.name, b"")
        try:
            return (probe.changed_ns() - self.changed_ns()) / 1e9
        finally:
            probe.remove()
