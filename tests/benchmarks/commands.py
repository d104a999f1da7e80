"""Programs that are timed: started as a person would, and waited for; and the memory that they took."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks.setting import ROOT

CIFAR_GRID = (sys.executable, str(ROOT / "grid" / "run.py"))
"""The command line of this tree, whatever is installed."""

TAIL = 2000

TIMED = """
import os, sys, threading, time

def family(process):
    yield process
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/children") as file:
            for child in file.read().split():
                yield from family(child)

def watch(process):
    while not over.wait(0.2):
        together = 0
        try:
            for one in family(process):
                with open(f"/proc/{one}/smaps_rollup") as file:
                    together += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:  # one has just ended, or the system does not say it
            continue
        peak[0] = max(peak[0], together)

over, peak = threading.Event(), [0]
clock = time.perf_counter()
process = os.posix_spawn(sys.argv[3], sys.argv[3:], os.environ)
watcher = threading.Thread(target=watch, args=(process,))
if sys.argv[2] == "family":
    watcher.start()
_, status, usage = os.wait4(process, 0)
wall_s = time.perf_counter() - clock
over.set()
if sys.argv[2] == "family":
    watcher.join()
with open(sys.argv[1], "w") as file:
    print(wall_s, usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss, peak[0]), file=file)
sys.exit(abs(os.waitstatus_to_exitcode(status)))
"""
"""Program that starts another. Small, since Linux counts the memory of whoever starts a program as the program's."""


@dataclass(frozen=True)
class Ran:
    """A program that ended well.

    Attributes:
        wall_s: Seconds from its start to its end.
        cpu_s: Seconds of processors that it took, which a busy machine hardly changes.
        memory_bytes: The most that it, or the largest process that it waited for, had resident; of a family, what it
            and all that it started had together at one time, where the system says it.
        out: What it printed.
    """

    wall_s: float
    cpu_s: float
    memory_bytes: int
    out: str


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a timed program: this tree, a Ray of its own, compiled files kept as anywhere else."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ours = {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0"}
    return kept | ours | dict(changes or {})


def start(*command: object, changes: Mapping[str, str] | None = None, out: int) -> "subprocess.Popen[bytes]":
    """Starts a program that writes what it prints to an open file."""
    words = [str(word) for word in command]
    return subprocess.Popen(words, cwd=ROOT, env=environment(changes), stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def run(*command: object, changes: Mapping[str, str] | None = None, family: bool = False) -> Ran:
    """Runs a program to its end.

    Args:
        command: Its words.
        changes: To its environment.
        family: Whether its memory is that of all its processes, which costs them some time.

    Raises:
        RuntimeError: It failed; with the end of what it printed.
    """
    with tempfile.TemporaryFile() as out, tempfile.NamedTemporaryFile("r") as measures:
        timed = (sys.executable, "-I", "-S", "-c", TIMED, measures.name, "family" if family else "alone")
        code = start(*timed, *command, changes=changes, out=out.fileno()).wait()
        out.seek(0)
        printed = out.read().decode("utf-8", "replace")
        if code:
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {code}:\n{printed[-TAIL:]}")
        wall_s, cpu_s, memory = map(float, measures.read().split())
    return Ran(wall_s, cpu_s, int(memory) * (1 if sys.platform == "darwin" else 1024), printed)


def cifar_grid(*arguments: object, changes: Mapping[str, str] | None = None, family: bool = False) -> Ran:
    """Runs one of our commands."""
    return run(*CIFAR_GRID, *arguments, changes=changes, family=family)


def module(name: str, *arguments: object, changes: Mapping[str, str] | None = None) -> Ran:
    """Runs a module of the benchmarks in a process of its own; its result is the last line that it prints."""
    return run(sys.executable, "-m", f"tests.benchmarks.{name}", *arguments, changes=changes)


def last_line(ran: Ran) -> str:
    """The last line that a program printed."""
    return ran.out.strip().splitlines()[-1]
