"""What is no file in the place of one, what is no folder in the place of one, endless files, names of any bytes."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random

from tests.faults.attempts import Attempt, Case
from tests.faults.commands import COMMANDS, doctor, report, run
from tests.faults.links import places, zeros
from tests.faults.sound import Sound


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, _inside(path.parent):
        listener.bind(path.name)  # its name may be 107 characters long, and no more


class _inside:
    """A working folder for a while; contextlib.chdir, but quiet about threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.before = os.getcwd()
        os.chdir(self.folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self.before)


def full_device(path: Path) -> None:
    """Whatever is written to it is too much."""
    try:
        os.mknod(path, 0o20666, os.makedev(1, 7))
    except PermissionError:
        os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def folder_with_something(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("x")


def empty_file(path: Path) -> None:
    path.touch()


def terabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


def gigabytes(path: Path) -> None:
    """More than the command may take, and not so much that asking for it fails at once."""
    path.touch()
    os.truncate(path, 5 * 2**30)


def nothing(path: Path) -> None:
    pass


def locked_away(path: Path) -> None:
    path.touch()
    path.chmod(0)


THINGS: tuple[Callable[[Path], None], ...] = (
    fifo, unix_socket, zeros, full_device, folder, folder_with_something, empty_file, terabyte, gigabytes, nothing,
    locked_away,
)  # fmt: skip

NAMES = [
    b"a\nb", b"\x1b[2J\x1b]0;x\x07", b"\xff\xfe", b"\xc3\x28", b"a\rb", "\u202eexe".encode(), b" ", b"-rf", b"~",
    b"$(touch x)", b"<script>", b"%s%n", b"[red]x", b"[link=x]y", b"*", b"a" * 255, b"CON", b"\x7f", b"..x", b"&#x0a;",
]  # fmt: skip
IN = ["", "ledger", "ledger/aa", "ledger/.staging", "ledger/damaged", "studies", "runs", "checkpoints"]


def attempts(sound: Sound) -> Iterator[Attempt]:
    """Each thing in each place, and each name in each folder, with each command."""
    for place, make, command in product(places(sound), THINGS, COMMANDS):
        fault = f"{make.__name__.replace('_', ' ')} in its place"
        yield Attempt(fault, f"{place}: {command.__name__}", _replaced(place, make), command, make is locked_away)
    for where, name, suffix, command in product(IN, NAMES, (b"", b".json"), (report, run, doctor)):
        odd = name[: 255 - len(suffix)] + suffix
        yield Attempt("a name of odd bytes", f"{where}/{odd!r}: {command.__name__}", _named(where, odd), command)


def _replaced(place: str, make: Callable[[Path], None]) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        path = case.results / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return prepare


def _named(where: str, name: bytes) -> Callable[[Case, Random], None]:
    def prepare(case: Case, draw: Random) -> None:
        path = case.results / where
        path.mkdir(exist_ok=True)
        odd = os.fsencode(path) + b"/" + name
        if draw.random() < 0.3:
            os.mkdir(odd)
            return
        studies = sorted((case.sound.results / "studies").iterdir())
        shutil.copy(os.fsencode(studies[0]), odd)

    return prepare
