"""Who holds the lock of a results folder, and whether that process can be known to be gone."""

import getpass
import os
import socket
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field

from cifar_models.config import Frozen
from grid.errors import printable


class Holder(Frozen):
    """Who holds a lock.

    Attributes:
        format: 2 if the holder gives signs of life, 1 if it is of a version that did not.
        token: Unique for each time that a lock was taken.
        renewals: Times that the holder took it again after a pause.
        pid: Number of the process.
        process_start: When the process started, as its system tells it; tells it from a later one of that number.
        host: Name of its machine.
        machine: Tells machines, and containers, of the same name apart, as far as that can be done.
        user: Who started it.
        command: What was typed.
        since: When the lock was taken.
    """

    format: Literal[1, 2] = 1
    token: str = Field(pattern=r"^[0-9a-f]{32}$")
    renewals: int = Field(default=0, ge=0)
    pid: int = Field(gt=0, lt=2**31)
    process_start: str
    host: str
    machine: str
    user: str
    command: str
    since: AwareDatetime

    def __str__(self) -> str:
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return printable(f"process {self.pid} on {self.host}, started by {self.user}, since {since} ({self.command})")

    def as_json(self) -> bytes:
        """What stands in the file of a lock."""
        return self.model_dump_json(indent=1).encode()

    def is_here(self) -> bool:
        """Whether it is a process of this machine, or container, since its last start."""
        here = (self.host, self.machine) == (socket.gethostname(), _machine())
        return here and self.process_start.startswith(_boot())

    def has_ended(self) -> bool:
        """Whether it is certain that a process of this machine no longer runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's
            pass
        start = process_start(self.pid)
        return start is not None and start != self.process_start


def this_process(command: str) -> Holder:
    """This process, as the holder of a lock with a token of its own."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = f"user {os.getuid()}"
    return Holder(
        format=2,
        token=uuid.uuid4().hex,
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "",
        host=socket.gethostname(),
        machine=_machine(),
        user=user,
        command=printable(command),
        since=datetime.now(UTC),
    )


def process_start(pid: int) -> str | None:
    """Returns when a running process started; empty text if it has ended as a whole; None if that is not known.

    While it is killed its first thread may be a zombie already and another one still hold its files.
    """
    if Path("/proc/self/stat").exists():
        stat = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()  # its name, in brackets, may hold anything
        start = f"{_boot()} {stat[19]}" if stat else None
        num_threads = int(stat[17]) if stat else 0
    else:
        ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        done = subprocess.run(ps, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C", "TZ": "UTC"})
        stat = done.stdout.split()
        start, num_threads = " ".join(stat[1:]) or None, 0
    return "" if stat and stat[0][0] in "ZX" and num_threads <= 1 else start


def _machine() -> str:
    """Identifies this machine among others of its name, and a container among others on the machine."""
    namespace = Path("/proc/self/ns/pid")
    return f"{_text('/etc/machine-id')} {os.readlink(namespace) if namespace.is_symlink() else ''}"


def _boot() -> str:
    """Identifies the time since the machine was last started; empty where the system has no such number."""
    return _text("/proc/sys/kernel/random/boot_id")


def _text(path: str) -> str:
    """What one of the system's files says; empty if it can't be read."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
