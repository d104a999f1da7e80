"""How far a run has come, for whoever watches it: a live table in a terminal, plain lines elsewhere."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grid.errors import one_line
from grid.formats import duration, percent, status_words
from grid.records.status import FAILURES
from grid.records.trial_record import TrialRecord

PLAIN_INTERVAL_S = 60.0
"""Seconds between plain lines, so that a log of a long run stays readable."""

NUM_ARMS = 5
"""Arms that the live table shows."""

MAX_LABEL = 50
"""Characters of an arm's label there; the numbers have to fit beside it."""

NUM_REASONS = 3
"""Reasons why trials failed that the live table shows."""

MARGIN = 0.1
"""Share by which the time of an arm's epochs may change from those that were seen."""


class TrialName(NamedTuple):
    """What to call a trial: its arm, and its seed."""

    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


class ArmState(NamedTuple):
    """How an arm does so far.

    Attributes:
        arm: Its label.
        val_acc: Validation accuracy of each of its trials that are `ok`, as a fraction; if none is, of those under way.
        num_seeds: Trials that it has in this run.
        num_ok: Trials that are `ok`.
    """

    arm: str
    val_acc: tuple[float, ...]
    num_seeds: int
    num_ok: int


def epoch_seconds(names: Mapping[str, TrialName], records: Mapping[str, TrialRecord]) -> dict[str, float]:
    """Seconds of an epoch of each arm that was trained before, on average.

    Args:
        names: What trials are called, by fingerprint; others count for nothing.
        records: Those that have ended.
    """
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for fingerprint, record in records.items():
        if fingerprint in names:
            seconds[names[fingerprint].arm] += [epoch.wall_s for epoch in record.epochs if 0 < epoch.wall_s < math.inf]
    return {arm: fmean(epochs) for arm, epochs in seconds.items() if epochs}


@dataclass
class RunState:
    """The trials of a run, and what became of them so far.

    Attributes:
        budgets: Epochs that each trial is to reach, by fingerprint. A schedule may add trials, and epochs to a trial.
        names: What to call each trial, by fingerprint.
        clock: Seconds, monotonic.
        earlier_s: Seconds of an epoch of arms that earlier runs trained with other seeds, perhaps on other machines.
        epochs: Epochs that each trial has reached.
        val_acc: Validation accuracy of each trial after its last epoch.
        ended: How trials ended.
        reasons: Why trials failed, in words, and how many did so.
        epoch_s: Seconds of the epochs that were seen of each arm.
    """

    budgets: dict[str, int]
    names: Mapping[str, TrialName]
    clock: Callable[[], float] = time.monotonic
    earlier_s: Mapping[str, float] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    val_acc: dict[str, float] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    epoch_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    started: float = field(init=False)
    _last: dict[str, float] = field(init=False, default_factory=dict)  # when each running trial was last heard of
    _num_at_once: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def name(self, fingerprint: str) -> TrialName:
        """What to call a trial, also one that nobody named."""
        return self.names.get(fingerprint) or TrialName(fingerprint[:8], 0)

    def trial_started(self, fingerprint: str, until_epoch: int) -> None:
        """A trial is running now, perhaps again after a pause."""
        self.budgets[fingerprint] = until_epoch
        self.ended.pop(fingerprint, None)
        self.epochs.setdefault(fingerprint, 0)
        self._last[fingerprint] = self.clock()
        self._num_at_once = max(self._num_at_once, len(self._last))

    def epoch_done(self, fingerprint: str, epoch: int, val_acc: float) -> None:
        """A trial finished an epoch; `val_acc` is a fraction, and may be NaN."""
        now = self.clock()
        self.epoch_s[self.name(fingerprint).arm].append(now - self._last.get(fingerprint, now))
        self._last[fingerprint] = now
        self.epochs[fingerprint] = epoch
        self.val_acc[fingerprint] = val_acc

    def trial_ended(self, fingerprint: str, status: str, reason: str | None = None) -> None:
        """A trial ended, in whatever way, perhaps before it could start."""
        self.budgets.setdefault(fingerprint, 0)
        self.ended[fingerprint] = status
        self._last.pop(fingerprint, None)
        if status in FAILURES:
            self.reasons[f"{status_words(status)}: {one_line(reason or 'no reason is known')}"] += 1

    def seconds_left(self) -> tuple[float, float] | None:
        """The least and the most that is left, by the epochs that were seen; None before there are any.

        An epoch takes what others of its arm took; of an arm that was not seen yet, what it took in earlier runs, as
        much quicker or slower as arms that were seen then and now; or else what the quickest or the slowest other one
        takes.
        """
        means = {arm: fmean(seconds) for arm, seconds in self.epoch_s.items()}
        if not means:
            return None
        changes = [mean / self.earlier_s[arm] for arm, mean in means.items() if arm in self.earlier_s] or [1.0]
        ends = []
        for end, margin in ((min, 1 - MARGIN), (max, 1 + MARGIN)):
            earlier = {arm: seconds * end(changes) for arm, seconds in self.earlier_s.items()}
            known, unseen = earlier | means, end(means.values())
            trials = [
                (budget - self.epochs.get(fingerprint, 0)) * known.get(self.name(fingerprint).arm, unseen) * margin
                for fingerprint, budget in self.budgets.items()
                if fingerprint not in self.ended
            ]
            ends.append(max([sum(trials) / self._num_at_once, *trials]))
        return ends[0], ends[1]

    def arms(self) -> list[ArmState]:
        """The arms that came to an accuracy, best mean first."""
        ok: defaultdict[str, list[float]] = defaultdict(list)
        under_way: defaultdict[str, list[float]] = defaultdict(list)
        for fingerprint, val_acc in self.val_acc.items():
            if val_acc == val_acc and self.ended.get(fingerprint) not in FAILURES:  # NaN is not equal to itself
                found = ok if self.ended.get(fingerprint) == "ok" else under_way
                found[self.name(fingerprint).arm].append(val_acc)
        num_seeds = Counter(self.name(fingerprint).arm for fingerprint in self.budgets)
        states = [
            ArmState(arm, tuple(ok.get(arm) or under_way[arm]), num_seeds[arm], len(ok.get(arm, ())))
            for arm in dict.fromkeys([*ok, *under_way])
        ]
        return sorted(states, key=lambda state: -fmean(state.val_acc))

    def counts(self) -> str:
        """Trials and time in one line."""
        total, done, running = len(self.budgets), len(self.ended), len(self._last)
        parts = [f"{done}/{total} trials done", f"{running} running", f"{max(0, total - done - running)} left"]
        if failed := self.reasons.total():
            parts.append(f"{failed} not ok")
        parts.append(f"{duration(self.clock() - self.started, 0)} gone")
        left = self.seconds_left()
        if left is not None and done < total:
            low, high = (duration(seconds, 0) for seconds in left)
            parts.append(f"about {low} left" if low == high else f"{low} to {high} left")
        return " · ".join(parts)

    def line(self) -> str:
        """The whole state in one line."""
        best = [f"best val {percent(fmean(state.val_acc))} ({state.arm})" for state in self.arms()[:1]]
        return " · ".join([self.counts(), *best])

    def table(self) -> RenderableType:
        """A bar, the best arms with their seeds, and what failed and why: at most a dozen lines."""
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(1, len(self.budgets)), completed=len(self.ended), width=60))
        shown: list[RenderableType] = [bar, Text(self.counts())]
        arms = self.arms()
        if arms:
            best = Table(box=None, pad_edge=False)
            for heading in ("best arms so far", "seeds done", "val accuracy", "lowest to highest"):
                best.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=len(heading))
            for state in arms[:NUM_ARMS]:
                low, high = percent(min(state.val_acc)), percent(max(state.val_acc))
                spread = f"{low} to {high}" if len(state.val_acc) > 1 else ""
                done = f"{state.num_ok} of {state.num_seeds}"
                best.add_row(Text(one_line(state.arm)[:MAX_LABEL]), done, percent(fmean(state.val_acc)), spread)
            shown.append(best)
        if len(arms) > NUM_ARMS:
            shown.append(Text(f"… and {len(arms) - NUM_ARMS} more", style="dim"))
        for reason, number in self.reasons.most_common(NUM_REASONS):
            shown.append(Text(f"{number} × {reason}", style="red", overflow="ellipsis", no_wrap=True))  # noqa: RUF001
        return Group(*shown)


class ProgressDisplay:
    """Shows a `RunState` while it changes. Use as a context manager.

    Attributes:
        state: What is shown.
        console: Where.
        on_trial_end: Is called whenever a trial has ended.
    """

    def __init__(self, state: RunState, console: Console) -> None:
        self.state = state
        self.console = console
        self.on_trial_end: Callable[[], object] = lambda: None
        self._live = Live(console=console, get_renderable=state.table, refresh_per_second=2)
        self._last_plain = -PLAIN_INTERVAL_S
        self._said: set[str] = set()

    def __enter__(self) -> "ProgressDisplay":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.console.is_terminal:
            self._live.stop()
        else:
            self.say(self.state.line())

    def trial_ended(self, fingerprint: str, status: str, reason: str | None = None) -> None:
        """A trial ended; where there is no terminal, each reason for a failure is said once."""
        self.state.trial_ended(fingerprint, status, reason)
        self.on_trial_end()
        if status in FAILURES and not self.console.is_terminal and reason not in self._said:
            self._said.add(reason or "")
            self.say(one_line(f"{self.state.name(fingerprint)}: {status_words(status)}: {reason}"))

    def update(self) -> None:
        """Prints a plain line, if the last one is a while ago; a terminal refreshes by itself."""
        now = self.state.clock() - self.state.started
        if not self.console.is_terminal and now - self._last_plain >= PLAIN_INTERVAL_S:
            self._last_plain = now
            self.say(self.state.line())

    def say(self, line: str) -> None:
        """Prints a line, in a terminal above the live table."""
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)
