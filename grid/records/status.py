"""How a planned trial can stand: a row a status, with all that follows from it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "stopped", "diverged", "out_of_memory", "error", "skipped"]
"""How a trial ended. `diverged` is a result: the same again would diverge again. `skipped` was never started."""


@dataclass(frozen=True)
class Meaning:
    """What a status means.

    Attributes:
        is_settled: Whether training again could not change it.
        is_failure: Whether the trial came to no good end.
        is_retried: Whether the next run may mend it; a run that leaves such trials is not complete.
    """

    is_settled: bool = False
    is_failure: bool = False
    is_retried: bool = False


STATUSES: dict[str, Meaning] = {
    "ok": Meaning(is_settled=True),
    "stopped": Meaning(),
    "diverged": Meaning(is_settled=True, is_failure=True),
    "out_of_memory": Meaning(is_failure=True, is_retried=True),
    "error": Meaning(is_failure=True, is_retried=True),
    "skipped": Meaning(),  # what it starts from can't be had here: no failure, and the next run looks again
    "not_run": Meaning(is_retried=True),
}
"""Every way a planned trial can stand: how it ended, or that it was not run."""

SETTLED = frozenset(name for name, meaning in STATUSES.items() if meaning.is_settled)
"""The ends that training again could not change; trials that ended otherwise are tried again by the next run."""

FAILURES = frozenset(name for name, meaning in STATUSES.items() if meaning.is_failure)
RETRIED = frozenset(name for name, meaning in STATUSES.items() if meaning.is_retried)
"""Trials that a run tries again; one that has such trials left is not complete."""
