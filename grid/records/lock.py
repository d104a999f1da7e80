"""One run at a time in a results folder: a lock that says who holds it.

    results/run.lock          who is at work there, as JSON; gone when the run ends
           /run.lock.<token>  who is about to take the lock over from the killed run of that token

What a killed run leaves is recognised on the same machine: its process is gone, or another one has its number.
"""

import contextlib
import getpass
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, ValidationError

from cifar_models.config import Frozen
from grid.errors import UserError
from grid.records.files import Folder

LOCK = "run.lock"


class Holder(Frozen):
    """Who holds a lock.

    Attributes:
        token: Unique for each time that a lock was taken.
        pid: Number of the process.
        process_start: When the process started, as its system tells it; tells it from a later one of that number.
        host: Name of its machine.
        machine: Tells machines, and containers, of the same name apart, as far as that can be done.
        user: Who started it.
        command: What was typed.
        since: When the lock was taken.
    """

    format: Literal[1] = 1
    token: str
    pid: int = Field(gt=0, lt=2**31)
    process_start: str
    host: str
    machine: str
    user: str
    command: str
    since: AwareDatetime

    def __str__(self) -> str:
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return _printable(f"process {self.pid} on {self.host}, started by {self.user}, since {since} ({self.command})")


@contextlib.contextmanager
def held_lock(folder: Path, command: str) -> Iterator[str | None]:
    """Holds the lock of a results folder, which is made if it is not there, and removed again if it stays empty.

    Args:
        folder: The results folder; every node may see it.
        command: What the user typed, for whoever finds the folder locked.

    Yields:
        A line that says from whom the lock was taken over, if a killed run had left it.

    Raises:
        UserError: Another run holds it, or may do so, or the folder can't be written.
    """
    mine = _this_process(command)
    path, is_new = folder / LOCK, not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone = _take(path, mine)
    except OSError as error:
        raise UserError(
            f"results folder {folder}: can't be written ({error.strerror}: {error.filename}); "
            "give another with --results"
        ) from error
    try:
        yield f"took over {folder} from a run that is gone: {gone}; its finished trials are kept" if gone else None
    finally:
        with contextlib.suppress(OSError, UserError):  # somebody removed it
            if _read(path) == mine:
                Folder(folder).remove(LOCK)
            if is_new:
                folder.rmdir()


def _take(path: Path, mine: Holder) -> Holder | None:
    """Makes `path` this process's own; returns whose it was, if that process is gone.

    Of those that find the same one gone, only the one that holds the claim on its token may replace it. A claim is a
    lock of its own: its holder may be killed too.
    """
    while not _create(path, mine):
        other = _read(path)
        if other is None:
            continue
        if not _is_gone(other):
            raise UserError(_refusal(path, other))
        claim = path.with_name(f"{LOCK}.{other.token}")
        _take(claim, mine)
        if _read(path) == other:
            Folder(path.parent).move(claim.name, path.name)
            return other
        Folder(path.parent).remove(claim.name)
    return None


def _create(path: Path, mine: Holder) -> bool:
    """Writes a lock that must not be there yet; returns whether it was not."""
    return Folder(path.parent).create(path.name, mine.model_dump_json(indent=1).encode())


def _read(path: Path) -> Holder | None:
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


def _refusal(path: Path, other: Holder) -> str:
    if _is_here(other):
        advice = f"wait for it, stop it with kill -INT {other.pid}, or give another folder with --results"
    else:
        advice = f"if that no longer runs, which only {other.host} can tell, remove {path}"
    return f"results folder {path.parent}: in use by {other}; {advice}"


def _is_here(holder: Holder) -> bool:
    return (holder.host, holder.machine) == (socket.gethostname(), _machine())


def _is_gone(holder: Holder) -> bool:
    """Whether it is certain that a process no longer runs."""
    if not _is_here(holder):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        pass
    start = _process_start(holder.pid)
    return start is not None and start != holder.process_start


def _this_process(command: str) -> Holder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = f"user {os.getuid()}"
    return Holder(
        token=uuid.uuid4().hex,
        pid=os.getpid(),
        process_start=_process_start(os.getpid()) or "",
        host=socket.gethostname(),
        machine=_machine(),
        user=user,
        command=_printable(command),
        since=datetime.now(UTC),
    )


def _machine() -> str:
    """What tells this machine from others of its name, and a container from its neighbours: they number their own."""
    namespace = Path("/proc/self/ns/pid")
    return f"{_text('/etc/machine-id')} {os.readlink(namespace) if namespace.is_symlink() else ''}"


def _process_start(pid: int) -> str | None:
    """When a process that is there started; empty if it ended and nobody asked how; None if that can't be known."""
    if Path("/proc/self/stat").exists():
        stat = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()  # its name, in brackets, may hold anything
        start = f"{_text('/proc/sys/kernel/random/boot_id')} {stat[19]}" if stat else None
    else:
        ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        done = subprocess.run(ps, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C", "TZ": "UTC"})
        stat = done.stdout.split()
        start = " ".join(stat[1:]) or None
    return "" if stat and stat[0][0] in "ZX" else start


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _text(path: str) -> str:
    """What one of the system's files says; empty if it can't be read."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
