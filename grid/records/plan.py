"""The plan: every trial of the studies, and which of them the ledger does not hold yet."""

from collections.abc import Collection, Sequence

from cifar_models.config import Frozen, TrainConfig
from grid.questions.study import Study
from grid.records.fingerprint import fingerprint
from grid.records.ledger import Ledger


class PlannedTrial(Frozen):
    """One cell of a study: an arm with one of the seeds.

    Attributes:
        arm: Index of the arm in the study.
        seed: The seed.
        fingerprint: Key of the trial in the ledger.
    """

    arm: int
    seed: int
    fingerprint: str


class StudyPlan(Frozen):
    """A study and all of its trials. This is what a report is made from, together with the ledger.

    Attributes:
        study: The study.
        data_fingerprint: Hash of the data set's bytes.
        trials: Every arm with every seed; all arms of a seed come before the next seed, so that whatever is
            finished first can already be compared.
    """

    study: Study
    data_fingerprint: str
    trials: tuple[PlannedTrial, ...]

    def config(self, trial: PlannedTrial) -> TrainConfig:
        """What one of the trials trains."""
        return self.study.arms[trial.arm].config.model_copy(update={"seed": trial.seed})


class PlanCounts(Frozen):
    """How the trials of a study divide. `planned` is the sum of the others.

    Attributes:
        planned: Cells of the study.
        cached: Cells that the ledger holds.
        shared: Cells that an earlier study of the same run trains.
        new: Cells that this study adds to what is trained.
    """

    planned: int
    cached: int
    shared: int
    new: int


def make_plan(study: Study, data_fingerprint: str) -> StudyPlan:
    """Lists every trial of a study."""
    trials = []
    for seed in study.seeds:
        for index, arm in enumerate(study.arms):
            config = arm.config.model_copy(update={"seed": seed})
            trials.append(PlannedTrial(arm=index, seed=seed, fingerprint=fingerprint(config, data_fingerprint)))
    return StudyPlan(study=study, data_fingerprint=data_fingerprint, trials=tuple(trials))


def settled_fingerprints(plans: Sequence[StudyPlan], ledger: Ledger) -> set[str]:
    """Those of the plans' trials that need no more training."""
    return set(ledger.read((trial.fingerprint for plan in plans for trial in plan.trials), settled_only=True))


def new_trials(plans: Sequence[StudyPlan], settled: Collection[str]) -> dict[str, TrainConfig]:
    """What is to be trained: plans minus ledger, each trial once, by fingerprint."""
    return {
        trial.fingerprint: plan.config(trial)
        for plan in plans
        for trial in plan.trials
        if trial.fingerprint not in settled
    }


def count(plans: Sequence[StudyPlan], settled: Collection[str]) -> list[PlanCounts]:
    """How the trials of each study divide, in the order of `plans`."""
    seen: set[str] = set()
    counts = []
    for plan in plans:
        fingerprints = [trial.fingerprint for trial in plan.trials]
        cached = sum(f in settled for f in fingerprints)
        shared = sum(f in seen and f not in settled for f in fingerprints)
        new = len(fingerprints) - cached - shared
        counts.append(PlanCounts(planned=len(fingerprints), cached=cached, shared=shared, new=new))
        seen.update(fingerprints)
    return counts
