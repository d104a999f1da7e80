"""Whether what a study claims was written before its first trial, from the manifests of its runs."""

from collections.abc import Sequence

from pydantic import AwareDatetime

from cifar_models.config import Frozen
from grid.formats import plural
from grid.records.manifest import Manifest


class ClaimsHistory(Frozen):
    """What a study claimed when it was first run, and whether it still does.

    Attributes:
        first_run: When it was planned for the first time.
        first_hash: Hash of its claims then; None if it had none.
        num_trials_before: Trials that the ledger held already then, from runs of other studies, or without a manifest.
        is_unchanged: Whether today's claims are those.
    """

    first_run: AwareDatetime
    first_hash: str | None
    num_trials_before: int
    is_unchanged: bool

    def __str__(self) -> str:
        date = f"{self.first_run:%Y-%m-%d}"
        if self.is_unchanged and not self.num_trials_before:
            return f"The claims were fixed on {date}, before the first trial."
        if self.is_unchanged:
            return f"The claims were fixed on {date}, when {plural(self.num_trials_before, 'trial')} had already run."
        if self.first_hash is None:
            return f"The claims were written after the first run, which was on {date}."
        return f"The claims were changed since the first run, which was on {date}."


def claims_history(manifests: Sequence[Manifest], study: str, claims_hash: str) -> ClaimsHistory | None:
    """What became of the claims of a study.

    Args:
        manifests: Of all runs.
        study: Name of the study.
        claims_hash: Hash of what it claims today.

    Returns:
        Their history; None if no run noted them.
    """
    runs = [run for manifest in manifests for run in manifest.studies if run.study == study]
    if not runs:
        return None
    first = min(runs, key=lambda run: run.planned)
    return ClaimsHistory(
        first_run=first.planned,
        first_hash=first.claims_hash,
        num_trials_before=first.counts.cached,
        is_unchanged=first.claims_hash == claims_hash,
    )
