"""Trials whose process was lost for the last time: why, as far as that can be known, and their row in the ledger."""

from grid.execution.memory_kills import MemoryKills, have_risen
from grid.execution.schedule import Job
from grid.records.ledger import Ledger, TrialRecord
from grid.records.status import Status

MAX_WORKER_LOSSES = 2
"""Times a trial is started again after its process or node was lost; its own errors are never retried in a run."""


def explain_loss(error: str, before: MemoryKills | None) -> tuple[Status, str]:
    """How a trial ended whose process is gone, and one line that says why.

    Args:
        error: What Ray said. Of an exception its last line tells, as in any traceback; of a lost process or node the
            first one does, and whether the kernel killed it Ray can only guess.
        before: The count of the kernel's kills that the trial had read last; None if it never came to that.
    """
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    tries = f"(tried {MAX_WORKER_LOSSES + 1} times)"
    if "low on memory" in error:
        return "out_of_memory", f"{lines[0]} {tries}"
    if any(line.startswith("File ") for line in lines):
        return "error", f"{lines[-1]} {tries}"
    if before is not None and have_risen(before):
        return "out_of_memory", (
            f"the kernel killed it because memory ran out on {before.host} {tries}: give it more memory, run fewer "
            "trials at once (--max-trials-at-once), or make the network or the batch smaller"
        )
    return "error", f"{lines[0]} {tries}"


def record_lost(
    ledger: Ledger, data_fingerprint: str, job: Job, error: str, memory_kills: MemoryKills | None
) -> tuple[Status, str]:
    """Commits a trial that could not do so itself, because its process was gone; returns its status and the reason."""
    status, reason = explain_loss(error, memory_kills)
    record = TrialRecord.untrained(job.fingerprint, job.config, data_fingerprint, status, reason)
    traceback = error if status == "error" else None  # of memory Ray lists every program of the machine
    ledger.commit(record.model_copy(update={"traceback": traceback}))
    return status, reason
