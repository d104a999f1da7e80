"""The plan: every trial of the studies, and which of them the ledger does not hold yet."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import Field

from cifar_models.config import Frozen, TrainConfig
from grid.questions.study import Study
from grid.records.fingerprint import Fingerprint, fingerprint
from grid.records.ledger import Ledger
from grid.records.status import SETTLED

Stage = Literal["full", "screening"]


class PlannedTrial(Frozen):
    """One cell of a study: an arm with one of the seeds.

    Attributes:
        arm: Index of the arm in the study.
        seed: The seed.
        fingerprint: Key of the trial in the ledger.
        stage: `full` is trained to the end and enters the verdict; `screening` only helps to choose which arms are.
    """

    arm: int = Field(ge=0)
    seed: int = Field(ge=0)
    fingerprint: Fingerprint
    stage: Stage = "full"


class Standing(Frozen):
    """What a screening found of one arm.

    Attributes:
        arm: Index of the arm in the study.
        epochs: Where it was last compared; else the fewest that any of its seeds trained.
        val_acc: Mean validation accuracy over its seeds there, as a fraction; None if it failed or was never compared.
        rank: Its place among those compared there, from 1; None without `val_acc`.
        of: How many were compared there; None without `val_acc`.
        reason: Why it went no further, in a few words.
    """

    arm: int = Field(ge=0)
    epochs: int = Field(ge=0)
    val_acc: float | None = None
    rank: int | None = None
    of: int | None = None
    reason: str


class Screening(Frozen):
    """How the arms that are trained in full were chosen.

    Attributes:
        rule: The rule in words.
        standings: What was found of each arm, in the study's order.
    """

    rule: str
    standings: tuple[Standing, ...]


class StudyPlan(Frozen):
    """A study and all of its trials. This is what a report is made from, together with the ledger.

    Attributes:
        study: The study.
        data_fingerprint: Hash of the data set's bytes.
        trials: Every arm with every seed; all arms of a seed come before the next seed, so that whatever is
            finished first can already be compared.
        looks: Number of seeds of each arm when the data was looked at and more seeds were asked for, oldest first;
            empty if the number of seeds was fixed beforehand.
        screening: How the arms that have trials at full budget were chosen; None if all have.
        shown: Number of seeds of each arm when verdicts were shown in a report, oldest first: whoever reads one and
            then adds seeds looks again.
    """

    study: Study
    data_fingerprint: str
    trials: tuple[PlannedTrial, ...]
    looks: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...] = ()
    screening: Screening | None = None
    shown: tuple[tuple[int, ...], ...] = ()

    def config(self, trial: PlannedTrial) -> TrainConfig:
        """Returns the configuration of a trial."""
        return config_of(self.study, trial.arm, trial.seed)

    def num_seeds(self) -> tuple[int, ...]:
        """Number of seeds that each arm has at full budget."""
        counts = Counter(trial.arm for trial in self.trials if trial.stage == "full")
        return tuple(counts[arm] for arm in range(len(self.study.arms)))

    def seeds_ended(self, ended: Collection[str]) -> tuple[int, ...]:
        """How many of each arm's seeds at full budget have ended, up to the first that has not.

        Args:
            ended: Fingerprints of the trials that have.
        """
        states: dict[int, list[bool]] = {arm: [] for arm in range(len(self.study.arms))}
        for trial in self.trials:
            if trial.stage == "full":
                states[trial.arm].append(trial.fingerprint in ended)
        return tuple([*of, False].index(False) for of in states.values())

    def looked_at(self) -> "StudyPlan":
        """Returns the plan with a look at all of its trials noted; looking at the same trials twice counts once."""
        seeds = self.num_seeds()
        return self if self.looks[-1:] == (seeds,) else self.model_copy(update={"looks": (*self.looks, seeds)})

    def shown_at(self, num_seeds: Sequence[int]) -> "StudyPlan":
        """Returns the plan with a report on so many seeds of each arm noted; the same numbers count once."""
        seeds = tuple(num_seeds)
        return self if seeds in self.shown else self.model_copy(update={"shown": (*self.shown, seeds)})

    def remembering(self, earlier: "StudyPlan") -> "StudyPlan":
        """Returns the plan with the reports that an earlier plan of the same arms and data has noted."""
        if (self.data_fingerprint, self.study.arms) != (earlier.data_fingerprint, earlier.study.arms):
            return self
        kept = (*earlier.shown, *(seeds for seeds in self.shown if seeds not in earlier.shown))
        return self.model_copy(update={"shown": kept})

    def with_seeds(self, num_seeds: Sequence[int]) -> "StudyPlan":
        """The plan with further trials at full budget, so that each arm has its number of seeds, from the first on."""
        first = self.study.seeds[0]
        planned = {(trial.arm, trial.seed) for trial in self.trials if trial.stage == "full"}
        added = [
            planned_trial(self.study, self.data_fingerprint, arm, seed)
            for seed in range(first, first + max(num_seeds, default=0))
            for arm, number in enumerate(num_seeds)
            if seed < first + number and (arm, seed) not in planned
        ]
        return self.model_copy(update={"trials": (*self.trials, *added)})


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
    return StudyPlan(
        study=study, data_fingerprint=data_fingerprint, trials=every_arm(study, data_fingerprint, study.seeds)
    )


def every_arm(
    study: Study, data_fingerprint: str, seeds: Sequence[int], stage: Stage = "full"
) -> tuple[PlannedTrial, ...]:
    """Plans the trials of every arm with every seed."""
    arms = range(len(study.arms))
    return tuple(planned_trial(study, data_fingerprint, arm, seed, stage) for seed in seeds for arm in arms)


def config_of(study: Study, arm: int, seed: int) -> TrainConfig:
    """What a trial of an arm trains: the only place where a seed enters a configuration."""
    config = study.arms[arm].config.model_copy(update={"seed": seed})
    if "split" not in study.vary:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"split_seed": seed})})


def planned_trial(study: Study, data_fingerprint: str, arm: int, seed: int, stage: Stage = "full") -> PlannedTrial:
    """Plans the trial of an arm with a seed."""
    key = fingerprint(config_of(study, arm, seed), data_fingerprint)
    return PlannedTrial(arm=arm, seed=seed, fingerprint=key, stage=stage)


def settled_fingerprints(plans: Sequence[StudyPlan], ledger: Ledger) -> set[str]:
    """Returns the trials that need no more training; trials of a screening may have been stopped by it."""
    screening = {trial.fingerprint for plan in plans for trial in plan.trials if trial.stage == "screening"}
    planned = {trial.fingerprint for plan in plans for trial in plan.trials}
    records = ledger.read(planned.intersection(ledger.fingerprints()))
    return {
        fingerprint
        for fingerprint, record in records.items()
        if record.status in SETTLED or (record.status == "stopped" and fingerprint in screening)
    }


def new_trials(plans: Sequence[StudyPlan], settled: Collection[str]) -> dict[str, TrainConfig]:
    """What is to be trained: plans minus ledger, each trial once, by fingerprint."""
    return {
        trial.fingerprint: config_of(plan.study, trial.arm, trial.seed)
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
