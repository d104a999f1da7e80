"""What lies in the ledger and should not: found, and moved out of the way."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grid.errors import UserError, printable
from grid.records.files import Folder

DAMAGED = "damaged"
"""Name of the folder in the ledger for what was moved out of the way."""


class DamageError(Exception):
    """Something is wrong with a trial in the ledger; the message says what."""


class DamagedTrial(NamedTuple):
    """Something in the ledger that is no readable trial: what is wrong, and where it was put.

    Attributes:
        fingerprint: The trial's; the name of what never was one, without unprintable characters.
        problem: What is wrong with it.
        moved_to: Where it is now.
    """

    fingerprint: str
    problem: str
    moved_to: Path

    def __str__(self) -> str:
        return f"damaged trial {self.fingerprint}: {self.problem}; moved to {self.moved_to}"


def find_foreign(ledger: Folder) -> Iterator[tuple[str, str]]:
    """Lists everything in a ledger that is not the folder of a trial, with what is wrong; hidden files are left alone.

    Raises:
        OSError: A folder can't be read.
    """
    for part, kind in _visible(ledger):
        if part == DAMAGED:
            continue
        if not (re.fullmatch("[0-9a-f]{2}", part) and kind == "folder"):
            yield part, "not a part of a ledger"
            continue
        named = re.compile(f"{part}[0-9a-f]{{22}}")
        for trial, kind_of_trial in _visible(ledger.below(part)):
            if not (named.fullmatch(trial) and kind_of_trial == "folder"):
                yield f"{part}/{trial}", "not a trial's folder"


def set_aside(ledger: Folder, name: str, problem: str) -> DamagedTrial:
    """Moves something in a ledger to its folder for what is damaged.

    Raises:
        UserError: It can't be moved.
    """
    shown = printable(name.rpartition("/")[2], "?")
    moved_to = f"{DAMAGED}/{shown[:50]}-{uuid.uuid4().hex[:8]}"
    try:
        ledger.move(name, moved_to)
    except OSError as error:
        raise UserError(
            f"{ledger.path / name}: {problem}, and can't be moved away ({error.strerror}: {error.filename}); "
            "move it by hand"
        ) from error
    return DamagedTrial(fingerprint=shown, problem=problem, moved_to=ledger.path / moved_to)


def _visible(folder: Folder) -> list[tuple[str, str]]:
    """Sorted names of all that is in a folder and not hidden, with its kind; none if there is no such folder."""
    return [(name, kind) for name, kind in folder.kinds().items() if not name.startswith(".")]
