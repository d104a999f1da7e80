"""How far a run has come, for whoever watches it: a live line in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from grid.formats import duration
from grid.records.status import FAILURES

PLAIN_INTERVAL_S = 10.0
"""Seconds between plain lines, so that a log of a long run stays readable."""


@dataclass
class RunState:
    """The trials of a run, counted.

    Attributes:
        budgets: Epochs that each trial is to reach, by fingerprint. A schedule may add trials, and epochs to a trial.
        names: What to call each trial, by fingerprint.
        clock: Seconds, monotonic.
        epochs: Epochs that each trial has reached.
        restored: Those of them that a trial started from, as they come from a checkpoint.
        ended: How trials ended.
        best: The highest validation accuracy so far, and its trial.
    """

    budgets: dict[str, int]
    names: Mapping[str, str]
    clock: Callable[[], float] = time.monotonic
    epochs: dict[str, int] = field(default_factory=dict)
    restored: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    best: tuple[float, str] | None = None
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def epoch_done(self, fingerprint: str, epoch: int, val_acc: float) -> None:
        """A trial finished an epoch; `val_acc` is a fraction, and may be NaN."""
        self.restored.setdefault(fingerprint, epoch - 1)
        self.epochs[fingerprint] = epoch
        if val_acc > (self.best[0] if self.best else -1.0):  # never true of NaN
            self.best = (val_acc, fingerprint)

    def trial_started(self, fingerprint: str, until_epoch: int) -> None:
        """A trial is running now, perhaps again after a pause."""
        self.budgets[fingerprint] = until_epoch
        self.ended.pop(fingerprint, None)
        self.epochs.setdefault(fingerprint, 0)

    def trial_ended(self, fingerprint: str, status: str) -> None:
        """A trial ended, in whatever way, perhaps before it could start."""
        self.budgets.setdefault(fingerprint, 0)
        self.ended[fingerprint] = status

    @property
    def seconds_left(self) -> float | None:
        """Estimate by the epochs done so far; None before there are any."""
        restored = sum(self.restored.values())
        done = sum(self.budgets[f] if f in self.ended else self.epochs.get(f, 0) for f in self.budgets) - restored
        total = sum(self.budgets.values()) - restored
        return (self.clock() - self.started) * (total - done) / done if done else None

    def line(self) -> str:
        """The whole state in one line."""
        total, done = len(self.budgets), len(self.ended)
        running = sum(f not in self.ended for f in self.epochs)
        failed = sum(status in FAILURES for status in self.ended.values())
        parts = [f"{done}/{total} trials done", f"{running} running", f"{total - done - running} left"]
        if failed:
            parts.append(f"{failed} not ok")
        if self.best is not None:
            parts.append(f"best val {100 * self.best[0]:.1f} % ({self.names.get(self.best[1], self.best[1][:8])})")
        left = self.seconds_left
        parts.append(f"{duration(self.clock() - self.started, 0)} gone")
        if left is not None and done < total:
            parts.append(f"about {duration(left, 0)} left")
        return " · ".join(parts)


class ProgressDisplay:
    """Shows a `RunState` while it changes. Use as a context manager."""

    def __init__(self, state: RunState, console: Console) -> None:
        self.state = state
        self.console = console
        self.live = Live(console=console, get_renderable=lambda: Text(state.line()), refresh_per_second=2)
        self.last_plain = 0.0

    def __enter__(self) -> "ProgressDisplay":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.console.is_terminal:
            self.live.stop()
        else:
            self.say(self.state.line())

    def update(self) -> None:
        """Prints a plain line, if the last one is a while ago; a terminal refreshes by itself."""
        now = self.state.clock()
        if not self.console.is_terminal and now - self.last_plain >= PLAIN_INTERVAL_S:
            self.last_plain = now
            self.say(self.state.line())

    def say(self, line: str) -> None:
        """Prints a line, in a terminal above the live one."""
        self.console.print(line, soft_wrap=True, highlight=False)
