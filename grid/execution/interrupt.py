"""Ctrl-C during a run: once to let the running trials finish, twice to stop now. SIGTERM stops now, too."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether the user asked for the end of a run; running trials may finish."""

    requested: bool = False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Takes over SIGINT and SIGTERM for a while; use it in the main thread.

    Raises:
        KeyboardInterrupt: At once, wherever the program is, on the second SIGINT or the first SIGTERM.
    """
    interruption = Interruption()

    def ask(signum: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, act) for number, act in ((signal.SIGINT, ask), (signal.SIGTERM, stop))}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
