"""Locks for tests: held by another process, or left by one that is gone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from grid.records import lock
from grid.records.lock import LOCK, held_lock

HOLD = """
import sys
from pathlib import Path
from grid.records.lock import held_lock
with held_lock(Path(sys.argv[1]), "cifar-grid run q2"):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_QUICKLY = """
import os, signal, sys, time
from pathlib import Path
from grid.errors import LostLockError
from grid.records import lock
lock.SIGN_S, lock.TRUSTED_S = 0.05, 0.3
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs ignore it, and so would this
try:
    with lock.held_lock(Path(sys.argv[1]), "cifar-grid run q2", on_loss=lambda: os.kill(os.getpid(), signal.SIGINT)):
        print("held", flush=True)
        sys.stdin.read()
except LostLockError as error:
    sys.exit(str(error))
"""
QUICK = {"SIGN_S": 0.05, "TRUSTED_S": 0.3, "WATCHED_S": 0.6, "SILENT_S": 0.8}


@contextmanager
def other_run(folder: Path, program: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed or its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def leave_stale(folder: Path, **changes: object) -> Path:
    """A lock whose process had the number of this one, some time ago; with some of its fields changed."""
    with held_lock(folder, "cifar-grid run q3"):
        fields = json.loads((folder / LOCK).read_text())
        earlier = fields["process_start"].rpartition(" ")[0] + " earlier"
        fields |= {"process_start": earlier, "token": os.urandom(16).hex()}
    (folder / LOCK).write_text(json.dumps(fields | changes))
    return folder / LOCK


def make_quick(set_to: Callable[[object, str, object], None]) -> None:
    """Signs of life so quick that a test need not wait for them."""
    for name, seconds in QUICK.items():
        set_to(lock, name, seconds)


@contextmanager
def taken(folder: Path, *, take_over: bool = False) -> Iterator[list[str]]:
    """Holds the lock; yields what was said on the way."""
    said: list[str] = []
    with held_lock(folder, "second", say=said.append, take_over=take_over):
        yield said
