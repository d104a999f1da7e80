"""Disks that are full, or read-only, and results folders that are somebody else's."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random

from tests.faults.attempts import Attempt, Case
from tests.faults.commands import COMMANDS, export, report, run
from tests.faults.forked import Ended
from tests.faults.protection import scratch_folder
from tests.faults.sound import Sound

FREE_KIB = (0, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4800, 5000, 8192)
"""Room that is left on a disk: from nothing, over the room for a trial, to that for all tables and pages."""
SOMEBODY = 12345
TIMES = 4


def attempts(_: Sound) -> Iterator[Attempt]:
    """Each amount of room, each command; read-only and foreign folders with each command."""
    if scratch_folder() is None:
        return  # nothing can be mounted where nothing is private
    for kib, command, number in product(FREE_KIB, (run, report, export), range(TIMES)):
        when = "in a run" if command is run else "at the report" if command is report else "at an export"
        yield Attempt(
            f"a full disk {when}", f"{kib} KiB free, {number}", _filled(kib, export if command is export else None),
            command, clean_up=_unmount, check=_check_full,
        )  # fmt: skip
    for command, trained in product(COMMANDS, (False, True)):
        yield Attempt(
            "a read-only folder", f"{command.__name__}, {'whole' if trained else 'to be trained'}",
            _read_only(trained), command, clean_up=_unmount, read_only=True,
        )  # fmt: skip
        for what, change in FOREIGN.items():
            yield Attempt(
                "a folder of somebody else's", f"{command.__name__}, {what}", _foreign(change), command, powerless=True
            )


def _filled(kib: int, where: object) -> Callable[[Case, Random], None]:
    """The results folder, or that for exports, on a file system of its own with little room."""

    def prepare(case: Case, draw: Random) -> None:
        place = case.exported if where is export else case.results
        content = case.root / "content"
        place.rename(content)
        place.mkdir()
        mount(place, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
        for path in content.iterdir():
            shutil.move(path, place)
        content.rmdir()
        if place == case.results:
            _forget_some(case, draw)
        status = os.statvfs(place)
        room = status.f_bavail * status.f_frsize - 1024 * kib
        with (place / ".filler").open("wb") as filler:
            for _ in range(room // 2**16):
                filler.write(b"\0" * 2**16)

    return prepare


def _forget_some(case: Case, draw: Random) -> None:
    """Some trials are to be trained, and some pages to be made for the first time."""
    for key in draw.sample(sorted(case.sound.trials), draw.randrange(4)):
        shutil.rmtree(case.results / "ledger" / key[:2] / key)
    if draw.random() < 0.5:
        for path in [*case.results.glob("*.html"), *case.results.glob("*.parquet"), case.results / "plotly.min.js"]:
            path.unlink()


def _check_full(case: Case, ended: Ended) -> list[str]:
    """A full disk is said with the name of a file, and not filled further by what is half-written."""
    left = [path for path in (*case.results.rglob("*"), *case.exported.rglob("*")) if _is_unfinished(path)]
    problems = [f"left half-written: {path.relative_to(case.root)}" for path in left]
    if "No space left" in ended.err and ended.err.startswith("cifar-grid: input or output"):
        problems.append(f"names no file: {ended.err[:200]!r}")
    return problems


def _is_unfinished(path: Path) -> bool:
    hidden = path.name.startswith(".") and path.name not in (".filler", ".staging")
    return path.is_file() and (hidden or path.name.endswith(".tmp") or ".staging" in path.parts)


def _read_only(trained: bool) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        if not trained:
            key = sorted(case.sound.trials)[0]
            shutil.rmtree(case.results / "ledger" / key[:2])
        mount(case.results, "--bind", str(case.results))
        mount(case.results, "-o", "remount,bind,ro")

    return prepare


def _foreign(change: Callable[[Case], list[Path]]) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        for path in change(case):
            os.chown(path, SOMEBODY, SOMEBODY)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o600 if path.suffix == ".npz" else 0o644)

    return prepare


FOREIGN: dict[str, Callable[[Case], list[Path]]] = {
    "all of it": lambda case: [case.results, *case.results.rglob("*")],
    "all in it": lambda case: [*case.results.rglob("*")],
    "the ledger": lambda case: [case.results / "ledger", *(case.results / "ledger").rglob("*")],
    "some trials": lambda case: [
        path for key in sorted(case.sound.trials)[:2] for path in (case.results / "ledger" / key[:2]).rglob("*")
    ],
    "the plans": lambda case: [case.results / "studies", *(case.results / "studies").iterdir()],
    "the manifests": lambda case: [case.results / "runs", *(case.results / "runs").iterdir()],
    "the pages": lambda case: [path for path in case.results.iterdir() if path.is_file()],
    "the checkpoints": lambda case: [case.results / "checkpoints", *(case.results / "checkpoints").rglob("*")],
}


def mount(place: Path, *options: str) -> None:
    """Mounts something in a place.

    Raises:
        OSError: It can't be done.
    """
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(0, done.stderr.strip(), str(place))


def _unmount(case: Case) -> None:
    for place in (case.results, case.exported):
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)
