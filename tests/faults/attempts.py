"""A try of a fault: a results folder among victims, something done to it, a command, and what is judged afterwards."""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.forked import Ended, Limits, Surroundings, call
from tests.faults.sound import Sound
from tests.faults.victims import MARKER, Snapshot, differences, look_at, make_victims

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What would steer a terminal."""

OUTSIDE = "Read-only file system"
"""What the system says of a write outside the scratch folder, which only the protection kept from happening."""


SCRIPT = "</script><img src=x onerror=alert(1)>"
"""A text that runs a script wherever it gets onto a page as it is."""
SCRIPTS = (b"<img src=x onerror", b"</script><img", b'href="javascript:')


class Case:
    """The folders of one try.

    Attributes:
        root: All of it.
        results: The results folder, a copy of a sound one.
        here: The working folder of the command; it has the question.
        victims: A folder of files, whose every byte is looked at afterwards; so is all else but what is named here.
        exported: Where an export goes.
        tmp: For temporary files.
        sound: What the results folder was copied from.
    """

    def __init__(self, root: Path, sound: Sound) -> None:
        self.root, self.sound = root, sound
        self.here, self.victims = root / "here", root / "victims"
        self.results, self.exported, self.tmp = self.here / "deep" / "results", root / "exported", root / "tmp"
        self.printed = root / "printed"
        for folder in (self.victims, self.here / "deep", root / "home", self.exported, self.tmp, self.printed):
            folder.mkdir(parents=True)
        make_victims(self.victims)
        shutil.copy(sound.question, self.here)
        shutil.copytree(sound.results, self.results, symlinks=True)

    @property
    def may_change(self) -> list[Path]:
        """Folders in which a command may do as it likes."""
        return [self.results, self.exported, self.tmp, self.printed]

    def kept_trials(self) -> list[str]:
        """Trials that are as whole as in the sound folder, and that no link leads to."""
        return [key for key, files in self.sound.trials.items() if self._is_whole(key, files)]

    def _is_whole(self, key: str, files: Mapping[str, bytes]) -> bool:
        folder = self.results / "ledger" / key[:2] / key
        below = [self.results, *(self.results / part for part in ("ledger", f"ledger/{key[:2]}")), folder]
        if any(path.is_symlink() or not path.is_dir() for path in below):
            return False
        paths = {name: folder / name for name in files}
        return all(
            path.is_file()
            and not path.is_symlink()
            and path.stat().st_size == len(files[name])
            and path.read_bytes() == files[name]
            for name, path in paths.items()
        )

    def surroundings(self, *, powerless: bool) -> Surroundings:
        """Where its command runs; Ray is nowhere, so that nothing starts it."""
        environment = {"HOME": str(self.root / "home"), "TMPDIR": str(self.tmp), "RAY_ADDRESS": "127.0.0.1:9"}
        environment["TORCH_HOME"] = str(self.tmp / "torch")  # where digests of weights are kept at first use
        return Surroundings(self.here, self.printed, environment, powerless)


@dataclass(frozen=True)
class Attempt:
    """Something to try.

    Attributes:
        fault: The line of the table that it counts for.
        name: What it is, so that it can be found again.
        prepare: Does the harm to a case; its generator is the attempt's own.
        command: What is called afterwards.
        powerless: Whether permissions shall bind the command, though it is the superuser's.
        limits: What the command may take.
        clean_up: Undoes what would keep the case from being removed.
        check: Says what else is wrong afterwards, and unclear to the user.
        read_only: Whether the results folder itself is on a read-only file system.
    """

    fault: str
    name: str
    prepare: Callable[[Case, Random], None]
    command: Callable[[Case], object]
    powerless: bool = False
    limits: Limits = field(default_factory=Limits)
    clean_up: Callable[[Case], None] | None = None
    check: Callable[[Case, Ended], list[str]] | None = None
    read_only: bool = False


@dataclass
class Result:
    """What came of a try: nothing in any of the lists if all is well."""

    fault: str
    name: str
    lost: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def survived(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.tracebacks or self.hangs or self.changed or self.unclear)

    def problems(self) -> list[str]:
        """A line for everything that is wrong."""
        lists = {name: getattr(self, name) for name in ("lost", "tracebacks", "hangs", "changed", "unclear")}
        return [f"{name}: {problem}" for name, problems in lists.items() for problem in problems]


def carry_out(attempt: Attempt, seed: int, folder: Path, sound: Sound) -> Result:
    """Tries it in a new folder, which is removed afterwards."""
    case = Case(folder, sound)
    try:
        attempt.prepare(case, Random(f"{seed} {attempt.fault} {attempt.name}"))
        kept = case.kept_trials()
        before = look_at(folder, case.may_change)
        ended = call(lambda: attempt.command(case), case.surroundings(powerless=attempt.powerless), attempt.limits)
        return judge(attempt, case, before, kept, ended)
    finally:
        if attempt.clean_up:
            attempt.clean_up(case)
        shutil.rmtree(folder, ignore_errors=True)


def judge(attempt: Attempt, case: Case, before: Snapshot, kept: Sequence[str], ended: Ended) -> Result:
    """Looks at what a command did, and what it left."""
    result = Result(attempt.fault, attempt.name, wall_s=ended.wall_s)
    result.changed += differences(before, look_at(case.root, case.may_change))
    if OUTSIDE in ended.err + ended.out and not attempt.read_only:
        result.changed.append(f"tried to write outside: {(ended.err + ended.out).strip()[-200:]}")
    result.changed += [f"{path} holds what a victim holds" for path in _pages_of_victims(case, ended)]
    result.tracebacks += _failed_trials(case)
    result.lost += sorted(set(kept) - set(case.kept_trials()))
    result.hangs += [f"stopped after {ended.wall_s:.0f} s"] * ended.hung
    if "Traceback" in ended.err or "Traceback" in ended.out:
        result.tracebacks.append(_where(ended.err))
    elif ended.code < 0 and not ended.hung:
        result.tracebacks.append(f"ended by signal {-ended.code} {ended.err.strip()[-200:]}")
    elif not ended.hung:
        result.unclear += unclear(ended)
    result.unclear += attempt.check(case, ended) if attempt.check else []
    result.unclear += [f"{page} would run a script" for page in _scripted_pages(case)]
    return result


def _failed_trials(case: Case) -> list[str]:
    """Why the trial that was to be trained has failed, where the harm became a reason in its row."""
    key = case.sound.stopped
    path = case.results / "ledger" / key[:2] / key / "trial.json"
    try:
        record = json.loads(path.read_bytes()) if path.stat().st_size < 2**20 and path.is_file() else {}
        status, reason = record["status"], record["reason"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return [f"the trial ended as {status}: {reason}"] if status in ("error", "out_of_memory") else []


def _scripted_pages(case: Case) -> list[str]:
    """Pages that hold a label as HTML which was meant as text."""
    pages = [] if case.results.is_symlink() or not case.results.is_dir() else case.results.glob("*.html")
    files = [page for page in pages if page.is_file() and not page.is_symlink() and page.stat().st_size < 2**24]
    return [page.name for page in files if any(text in page.read_bytes() for text in SCRIPTS)]


def unclear(ended: Ended) -> list[str]:
    """What a user could not understand: more than a line, none at all, or what a terminal would obey."""
    lines = ended.err.splitlines()
    found = []
    if UNPRINTABLE.search(ended.err) or UNPRINTABLE.search(ended.out):
        found.append(f"control characters in {ended.err[-200:]!r} {ended.out[-200:]!r}")
    if ended.code not in (0, 1, 2):
        found.append(f"exit code {ended.code}")
    if len(lines) > 1 or (lines and not lines[0].startswith("cifar-grid: ")):
        found.append(f"more than one line, or not ours: {ended.err[:300]!r}")
    if ended.code == 2 and not lines:
        found.append("exit code 2 and no word")
    if ended.code == 0 and lines:
        found.append(f"all is well, and {lines[0][:200]!r}")
    found += [f"a line of {len(line)} characters" for line in lines if len(line) > 2500]
    return found


def _where(err: str) -> str:
    """The innermost line of the project, and the exception, of a traceback."""
    ours = re.findall(r'File "[^"]*?((?:grid|cifar_models)/[^"]+)", line (\d+)', err)
    place = ":".join(ours[-1]) if ours else "?"
    last = (err.strip().splitlines() or [""])[-1]
    return f"{place} {last[:200]}"


def _pages_of_victims(case: Case, ended: Ended) -> list[str]:
    """Files in the results, or what was printed, that hold a victim's bytes; not links, nor other names of a victim."""
    found = ["the output"] * (MARKER in ended.out + ended.err)
    inodes = {path.stat().st_ino for path in case.victims.rglob("*") if path.is_file() and not path.is_symlink()}
    for path in case.results.rglob("*") if not case.results.is_symlink() else ():
        if path.is_symlink() or not path.is_file() or path.stat().st_ino in inodes or path.stat().st_size > 2**24:
            continue
        if path.suffix in (".html", ".js", ".json") and MARKER.encode() in path.read_bytes():
            found.append(str(path.relative_to(case.results)))
    return found
