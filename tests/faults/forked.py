"""A call in a process of its own, forked so that nothing is imported anew, with limits on time and memory."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Limits:
    """What a call may take. A busy machine is no reason to stop one, only what does nothing or never ends.

    Attributes:
        idle_s: Seconds in which it computes nothing at all.
        cpu_s: Seconds that it computes.
        wall_s: Seconds in all.
        memory_bytes: Beyond what the process that forks it has.
    """

    idle_s: float = 10.0
    cpu_s: float = 60.0
    wall_s: float = 300.0
    memory_bytes: int = 3 * 2**30


@dataclass(frozen=True)
class Ended:
    """How a call ended.

    Attributes:
        code: Exit code; minus the signal's number if one ended it.
        hung: Whether it had to be stopped.
        out: What it printed.
        err: What it printed to the standard error.
        wall_s: Seconds it took.
    """

    code: int
    hung: bool
    out: str
    err: str
    wall_s: float


@dataclass(frozen=True)
class Surroundings:
    """Where a call runs.

    Attributes:
        folder: Its working folder.
        environment: Environment variables beside those of this process.
        printed: Folder for what it prints.
        powerless: Whether the superuser's power over other people's files is given up, where it is there.
    """

    folder: Path
    printed: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    powerless: bool = False


def call(what: Callable[[], object], surroundings: Surroundings, limits: Limits) -> Ended:
    """Calls in a forked process; an exception is printed as Python prints it, and is exit code 1."""
    out, err = surroundings.printed / "out", surroundings.printed / "err"
    sys.stdout.flush()
    sys.stderr.flush()
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be_the_child(what, surroundings, limits, out, err)
    hung, status = _wait(pid, limits)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    said, complained = (
        path.read_bytes().decode(errors="backslashreplace") if path.exists() else "" for path in (out, err)
    )
    return Ended(code, hung, said, complained, time.monotonic() - begun)


def _be_the_child(what: Callable[[], object], where: Surroundings, limits: Limits, out: Path, err: Path) -> None:
    code = 1
    try:
        os.setsid()
        for descriptor, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8") for number in (1, 2))  # noqa: SIM115
        sys.stderr.reconfigure(errors="backslashreplace")
        os.environ.update(where.environment)
        os.chdir(where.folder)
        if where.powerless:
            give_up_power()
        most = _virtual_bytes() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = _exit_code(what)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _exit_code(what: Callable[[], object]) -> int:
    try:
        what()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _wait(pid: int, limits: Limits) -> tuple[bool, int]:
    """Waits for a process, or stops it; whether that had to be, and its status."""
    begun = moved = time.monotonic()
    computed, pause = 0.0, 0.002
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return False, status
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
        now, cpu_s = time.monotonic(), group_cpu_s(pid)
        if cpu_s > computed + 0.02:
            moved, computed = now, cpu_s
        if now - moved > limits.idle_s or cpu_s > limits.cpu_s or now - begun > limits.wall_s:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
            return True, os.waitpid(pid, 0)[1]


def group_cpu_s(pid: int) -> float:
    """Seconds that a process, and its children that ended, computed; 0 where that can't be known."""
    try:
        numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(int(number) for number in numbers[11:15]) / TICKS


def _virtual_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**36


def give_up_power() -> None:
    """Gives up the superuser's capabilities, after which permissions bind it as they bind anyone.

    Source: capset(2), version 3 of the interface.
    """
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
