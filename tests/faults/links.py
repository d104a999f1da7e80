"""Every place of a results folder, in turn, made a link to something outside of it; then every command."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.faults.attempts import Attempt, Case
from tests.faults.commands import COMMANDS
from tests.faults.sound import STUDY, Sound
from tests.faults.victims import MARKER, make_old

Aim = Callable[[Case, Path], None]
"""Makes a link at a path, at which nothing is."""


UNFINISHED = f".{'0' * 32}.tmp"
"""A file that a killed run left half-written."""


def places(sound: Sound) -> list[str]:
    """Paths in a results folder: one of each kind that is there, and what a run may write or look for beside them."""
    key, stopped = sorted(sound.trials)[0], sound.stopped
    trial = f"ledger/{key[:2]}/{key}"
    (run,) = (path.name for path in (sound.results / "runs").iterdir())
    (picture,) = (path.name for path in sound.results.glob("*.png"))
    checkpoint = f"checkpoints/{stopped}"
    written = [f"{STUDY}.html", f"{STUDY}.trials.js", "index.html", "plotly.min.js", "cifar-grid.js", picture]
    written += [f"{name}.parquet" for name in ("trials", "epochs", "verdicts")]
    written += [
        "predictions",
        "predictions/none.parquet",
        ".report",
        ".report/trials",
        ".report/studies",
        "ledger/.whole",
    ]
    return [
        "ledger", f"ledger/{key[:2]}", trial, *(f"{trial}/{name}" for name in sound.trials[key]),
        f"ledger/{stopped[:2]}", f"ledger/{stopped[:2]}/{stopped}", f"ledger/{stopped[:2]}/{stopped}/trial.json",
        "ledger/.staging", "ledger/.staging/left", "ledger/damaged", "ledger/aa", "ledger/notes", "ledger/.hidden",
        f"ledger/{key[:2]}/notes", f"ledger/{key[:2]}/{key[:2]}{'0' * 22}", f"{trial}/more",
        "studies", f"studies/{STUDY}.json", f"studies/{STUDY}.tmp", "studies/other.json", f"studies/{UNFINISHED}",
        "runs", f"runs/{run}", "runs/other.json",
        "checkpoints", checkpoint, f"{checkpoint}/state.safetensors", f"checkpoints/{key}",
        UNFINISHED, f"ledger/{UNFINISHED}", f"{checkpoint}/{UNFINISHED}",
        "run.lock", "run.lock.0", ".run.lock-0", *written, *(f"{name}.tmp" for name in written),
    ]  # fmt: skip


def attempts(sound: Sound) -> Iterator[Attempt]:
    """Each place, with each aim, with each command."""
    for place in places(sound):
        for aim in AIMS:
            if aim is to_itself_elsewhere and not (sound.results / place).exists():
                continue
            for command in COMMANDS:
                fault = f"link {aim.__name__.replace('_', ' ')}"
                yield Attempt(fault, f"{place}: {command.__name__}", _linked(place, aim), command)


def _linked(place: str, aim: Aim) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        path = case.results / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if aim is not to_itself_elsewhere and os.path.lexists(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        aim(case, path)

    return prepare


def to_a_folder(case: Case, path: Path) -> None:
    path.symlink_to(case.victims)


def to_a_folder_relative(case: Case, path: Path) -> None:
    path.symlink_to(os.path.relpath(case.victims, path.parent))


def to_a_file(case: Case, path: Path) -> None:
    path.symlink_to(case.victims / "letter.txt")


def to_a_file_relative(case: Case, path: Path) -> None:
    path.symlink_to(os.path.relpath(case.victims / "photos" / "1.png", path.parent))


def to_nothing(case: Case, path: Path) -> None:
    path.symlink_to(case.victims / "not there yet")


def to_itself(case: Case, path: Path) -> None:
    path.symlink_to(path.name)


def to_itself_elsewhere(case: Case, path: Path) -> None:
    """What is there is moved among the victims, and a link to it is left: all can be read, and nothing is ours."""
    elsewhere = case.victims / "moved"
    path.rename(elsewhere)
    if elsewhere.suffix == path.suffix == "" and elsewhere.is_file():
        text = elsewhere.read_bytes()
        elsewhere.write_bytes(text.replace(b"Does turning help?", MARKER.encode()))
    make_old(case.victims)
    path.symlink_to(elsewhere)


def to_endless_zeros(case: Case, path: Path) -> None:
    zeros(case.victims / "zeros")
    make_old(case.victims)
    path.symlink_to(case.victims / "zeros")


def by_a_second_name_of_a_file(case: Case, path: Path) -> None:
    """A hard link: what is written into it is written into the victim."""
    os.link(case.victims / "key", path)
    make_old(case.victims)


def zeros(path: Path) -> None:
    """Makes a device that can be read for ever; where that is not allowed, a file of a terabyte."""
    try:
        os.mknod(path, 0o20600, os.makedev(1, 5))
    except PermissionError:
        path.touch()
        os.truncate(path, 2**40)


AIMS: tuple[Aim, ...] = (
    to_a_folder,
    to_a_folder_relative,
    to_a_file,
    to_a_file_relative,
    to_nothing,
    to_itself,
    to_itself_elsewhere,
    to_endless_zeros,
    by_a_second_name_of_a_file,
)
