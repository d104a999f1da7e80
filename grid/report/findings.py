"""What studies have found by now, for those who plan or train further."""

from collections.abc import Mapping, Sequence

import pandas as pd

from grid.analysis.evidence import Evidence, gather
from grid.analysis.study_result import StudyResult, study_results
from grid.questions.expansion import Winners
from grid.records.ledger import TrialRecord
from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder
from grid.tables.ended import ended_row
from grid.tables.schemas import EPOCHS
from grid.tables.tables import make_tables, make_trials


def results_of(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """What each study found by now."""
    return study_results(plans, make_tables(plans, folder.ledger))


def find_winners(folder: ResultsFolder, profile: str, dataset: str, data_fingerprint: str) -> Winners:
    """What the questions whose every trial is settled found: values of the best arm's axes, by question.

    Args:
        folder: Where they were run.
        profile: Only studies at this profile count.
        dataset: Only studies on the data set of this label count,
        data_fingerprint: and of these bytes.
    """
    found = {}
    for plan in folder.plans():
        study = plan.study
        if (study.profile, study.dataset, plan.data_fingerprint) != (profile, dataset, data_fingerprint):
            continue
        full = [trial.fingerprint for trial in plan.trials if trial.stage == "full"]
        records = folder.ledger.read(full, settled_only=True)
        best = _best_arm(plan, records)
        if best is not None and len(records) == len(set(full)):
            values = study.arms[best].values
            found[study.question] = {field: value for field, value in values.items() if value is not None}
    return found


def best_trials(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> set[str]:
    """Of each study, the trial of the best arm that is best on validation, if any is ok."""
    best = set()
    for plan in plans:
        evidence = _evidence(plan, folder.ledger.read(trial.fingerprint for trial in plan.trials))
        arm = evidence.best(range(len(plan.study.arms)))
        if arm is not None:
            best |= set(evidence.arms[arm].trials.nlargest(1, "val_acc")["fingerprint"])
    return best


def _best_arm(plan: StudyPlan, records: Mapping[str, TrialRecord]) -> int | None:
    return _evidence(plan, records).best(range(len(plan.study.arms)))


def _evidence(plan: StudyPlan, records: Mapping[str, TrialRecord]) -> Evidence:
    """What is needed to choose an arm on validation: no curves, no answers to test images."""
    ended = {fingerprint: ended_row(record) for fingerprint, record in records.items()}
    trials: pd.DataFrame = make_trials([plan], ended).to_pandas()
    return gather(plan.study, trials, EPOCHS.empty_table().to_pandas(), {})
