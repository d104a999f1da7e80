"""Ctrl-C during a run: once to let the running trials finish, twice to stop now. SIGTERM and SIGHUP stop now, too."""

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

STOPPING_S = 10.0
"""Seconds for which a run that is stopping is not stopped again: of a terminal that closes, several signals come."""

STOPPING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Stop:
    """A signal handler that raises `KeyboardInterrupt`.

    Attributes:
        requested: Whether it was called. What it raises can be lost where it strikes: in code that runs while an object
            is cleared away, or behind a bare `except` of some library.
    """

    def __init__(self) -> None:
        self.last = -STOPPING_S
        self.requested = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True
        if signum != signal.SIGTERM:
            _leave_terminal()
        if time.monotonic() - self.last >= STOPPING_S:
            self.last = time.monotonic()
            raise KeyboardInterrupt


@dataclass
class Interruption:
    """Whether the user asked for the end of a run.

    Attributes:
        requested: Whether running trials may finish, and no other may start.
        stop: The handler of what ends a run at once; None if nothing does.
    """

    requested: bool = False
    stop: _Stop | None = None

    def check(self) -> None:
        """Raises `KeyboardInterrupt` again if an earlier one was lost.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.stop is not None and self.stop.requested:
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[None]:
    """Takes over SIGTERM, and SIGHUP unless it is ignored, as by nohup, for a while; use it in the main thread.

    Inside another of its kind it changes nothing.

    Raises:
        KeyboardInterrupt: At once, wherever the program is, when one of them comes.
    """
    if isinstance(signal.getsignal(signal.SIGTERM), _Stop):
        yield
        return
    stop = _Stop()
    before = {number: signal.getsignal(number) for number in STOPPING}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Takes over SIGINT, too; use it in the main thread.

    Raises:
        KeyboardInterrupt: At once, wherever the program is, on the second SIGINT, or the first SIGTERM or SIGHUP.
    """
    interruption = Interruption()

    def ask(signum: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    with stoppable():
        handler = signal.getsignal(signal.SIGTERM)
        interruption.stop = handler if isinstance(handler, _Stop) else None
        before = signal.signal(signal.SIGINT, ask)
        try:
            yield interruption
        finally:
            signal.signal(signal.SIGINT, before)


def stop_main_thread() -> None:
    """Stops what runs inside `stoppable`, from any thread."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGTERM)


def _leave_terminal() -> None:
    """Redirects what would be written to a closed terminal, where an error would hide why the run ends."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        try:
            is_terminal = stat.S_ISCHR(os.fstat(descriptor).st_mode)
        except OSError:  # it is closed
            continue
        if is_terminal:
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
