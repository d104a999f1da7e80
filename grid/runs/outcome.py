"""How the trials of a run ended, in a few lines."""

from collections import Counter
from collections.abc import Iterable

from grid.errors import one_line
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan
from grid.records.status import RETRIED


def outcome_of(plans: Iterable[StudyPlan], ledger: Ledger) -> tuple[list[str], set[str]]:
    """Reads how all trials of some plans ended.

    Returns:
        The lines that say it, and every status that occurs; `not_run` where a trial is not in the ledger.
    """
    planned = list(dict.fromkeys(trial.fingerprint for plan in plans for trial in plan.trials))
    records = ledger.read(planned)
    statuses = Counter(records[key].status if key in records else "not_run" for key in planned)
    lines = ["Trials: " + ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))]
    if "not_run" in statuses:
        lines.append("Interrupted: run the same command again to go on.")
    reasons = dict.fromkeys(record.reason for record in records.values() if record.status in RETRIED)
    return [*lines, *(f"  {one_line(reason)}" for reason in reasons)], set(statuses)
