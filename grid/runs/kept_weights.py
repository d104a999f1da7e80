"""Final weights that the user wants to keep: which trials lack them, and which may lose them again."""

from collections.abc import Collection, Sequence
from typing import Literal

from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder


def lacking_weights(
    plans: Sequence[StudyPlan], wanted: Literal["none", "best", "all"], folder: ResultsFolder
) -> set[str]:
    """Trials whose weights are asked for and were not kept: they have to be trained again."""
    if wanted == "none":
        return set()
    if wanted == "best":
        from grid.report.findings import best_trials  # pandas takes seconds to import

        trials = best_trials(folder, plans)
    else:
        trials = {trial.fingerprint for plan in plans for trial in plan.trials if trial.stage == "full"}
    ok = (key for key, record in folder.ledger.read(trials).items() if record.status == "ok")
    return {fingerprint for fingerprint in ok if not folder.ledger.has_weights(fingerprint)}


def keep_best(trained: Collection[str], plans: Sequence[StudyPlan], folder: ResultsFolder) -> None:
    """Leaves, of the trials that a run has trained, only the weights of each study's best one."""
    from grid.report.findings import best_trials

    for fingerprint in {*trained} - best_trials(folder, plans):
        folder.ledger.remove_weights(fingerprint)
