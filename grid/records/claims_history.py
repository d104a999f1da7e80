"""Whether what a study claims was written before its first trial, from the manifests of its runs."""

from collections.abc import Sequence

from grid.formats import plural
from grid.records.manifest import Manifest


def claims_history(manifests: Sequence[Manifest], study: str, claims_hash: str) -> str | None:
    """Says in a sentence what became of the claims of a study since its first run.

    Args:
        manifests: Of all runs.
        study: Name of the study.
        claims_hash: Hash of what it claims today.

    Returns:
        The sentence; None if no run noted the study.
    """
    runs = [run for manifest in manifests for run in manifest.studies if run.study == study]
    if not runs:
        return None
    first = min(runs, key=lambda run: run.planned)
    date, num_before = f"{first.planned:%Y-%m-%d}", first.counts.cached
    if first.claims_hash is None:
        return f"The claims were written after the first run, which was on {date}."
    if first.claims_hash != claims_hash:
        return f"The claims were changed since the first run, which was on {date}."
    # trials of other studies' runs, or of runs without a manifest
    when = f"when {plural(num_before, 'trial')} had already run" if num_before else "before the first trial"
    return f"The claims were fixed on {date}, {when}."
