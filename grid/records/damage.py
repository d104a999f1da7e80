"""What lies in the ledger and should not: found, and moved out of the way."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from grid.errors import UserError

DAMAGED = "damaged"
"""Name of the folder in the ledger for what was moved out of the way."""


class DamagedTrial(BaseModel):
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


def find_foreign(root: Path) -> Iterator[tuple[Path, str]]:
    """What lies in a ledger and is no trial's folder, each with what is wrong with it; hidden files are left alone.

    Raises:
        OSError: A folder can't be read.
    """
    for folder in _visible(root):
        if folder.name == DAMAGED:
            continue
        if not (re.fullmatch("[0-9a-f]{2}", folder.name) and folder.is_dir()):
            yield folder, "not a part of a ledger"
            continue
        for trial in _visible(folder):
            if not (re.fullmatch(folder.name + "[0-9a-f]{22}", trial.name) and trial.is_dir()):
                yield trial, "not a trial's folder"


def set_aside(path: Path, problem: str, root: Path) -> DamagedTrial:
    """Moves something in a ledger to its folder for what is damaged.

    Raises:
        UserError: It can't be moved.
    """
    name = "".join(letter if letter.isprintable() else "?" for letter in path.name)
    moved_to = root / DAMAGED / f"{name[:50]}-{uuid.uuid4().hex[:8]}"
    try:
        moved_to.parent.mkdir(exist_ok=True)
        os.rename(path, moved_to)
    except OSError as error:
        raise UserError(f"{path}: {problem}, and can't be moved away ({error.strerror}); move it by hand") from error
    return DamagedTrial(fingerprint=name, problem=problem, moved_to=moved_to)


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, if it is there, in order and without hidden files."""
    return sorted(path for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []
