"""A study's screening: where it stands by the ledger, what it would train, and the plan that confirms what it found."""

from collections.abc import Collection, Iterator, Mapping

from cifar_models.config import TrainConfig
from grid.errors import UserError
from grid.execution.asha import AshaSchedule, choose_num_finalists, describe
from grid.execution.schedule import Schedule
from grid.records.ledger import Ledger
from grid.records.plan import Screening, StudyPlan, every_arm
from grid.records.status import RETRIED, Status
from grid.runs.method import PlannedMethod

FIRST_SEED = 1_000_000
"""Of a screening: far from 0, 1, 2, …, so that what is chosen is confirmed on fresh ones."""


def plan_screening(plan: StudyPlan, method: PlannedMethod) -> StudyPlan:
    """The trials that screen a study's arms, with the rule in words.

    Raises:
        UserError: An arm's budget is too small to compare anything before its end;
            or the seeds are those of screenings.
    """
    if plan.study.seeds[-1] >= FIRST_SEED:
        raise UserError(f"--first-seed: take one below {FIRST_SEED:,}, where the seeds of a screening begin")
    rule = describe([arm.config.epochs for arm in plan.study.arms], method.screening_seeds, num_finalists(plan, method))
    seeds = range(FIRST_SEED, FIRST_SEED + method.screening_seeds)
    return StudyPlan(
        study=plan.study,
        data_fingerprint=plan.data_fingerprint,
        trials=every_arm(plan.study, plan.data_fingerprint, seeds, "screening"),
        screening=Screening(rule=rule, standings=()),
    )


def rule_of(screening: StudyPlan) -> str:
    """A line that says by which rule a study is screened."""
    assert screening.screening is not None
    return f"{screening.study.name}: {screening.screening.rule}"


def num_finalists(plan: StudyPlan, method: PlannedMethod) -> int:
    """How many arms are trained in full."""
    return method.finalists or choose_num_finalists(len(plan.study.arms))


def schedule_of(
    screening: StudyPlan, ledger: Ledger, *, retry: bool = False, skipped: Collection[str] = ()
) -> AshaSchedule:
    """A screening as far as the ledger has it.

    Args:
        screening: Its trials.
        ledger: What was trained.
        retry: Whether trials that did not come to an end, but may, are still to come,
        skipped: all but these.
    """
    arms: list[dict[str, TrainConfig]] = [{} for _ in screening.study.arms]
    for trial in screening.trials:
        if trial.stage == "screening":
            arms[trial.arm][trial.fingerprint] = screening.config(trial)
    records = ledger.read(fingerprint for arm in arms for fingerprint in arm)
    known: dict[str, tuple[Status, list[float]]] = {
        fingerprint: (record.status, [epoch.val_acc for epoch in record.epochs])
        for fingerprint, record in records.items()
        if not (retry and record.status in {*RETRIED, "skipped"})
    }
    return AshaSchedule(arms, known | dict.fromkeys(skipped, ("skipped", [])))


def rehearse(schedule: Schedule, trained: Mapping[str, int]) -> Iterator[TrainConfig]:
    """What a schedule would train, job by job, if all arms did alike; each is a configuration with the epochs to add.

    Args:
        schedule: It is used up.
        trained: Epochs that trials have already, by fingerprint.
    """
    done = dict(trained)
    while not schedule.is_done() and (job := schedule.next_job()):
        added = job.until_epoch - done.get(job.fingerprint, 0)
        yield job.config.model_copy(update={"epochs": added})
        done[job.fingerprint] = job.until_epoch
        status: Status = "ok" if job.until_epoch == job.config.epochs else "stopped"
        schedule.job_ended(job.fingerprint, status, [0.5] * job.until_epoch)


def confirmation(screening: StudyPlan, ledger: Ledger, method: PlannedMethod) -> StudyPlan:
    """The screening with what it found and, once it is done, the trials at full budget of the best arms."""
    schedule = schedule_of(screening, ledger)
    assert screening.screening is not None
    found = screening.screening.model_copy(update={"standings": schedule.standing()})
    if not schedule.is_done():
        return screening.model_copy(update={"screening": found})
    # of an arm that failed on one seed the others were never started, and never will be
    trained = ledger.read(trial.fingerprint for trial in screening.trials)
    kept = tuple(trial for trial in screening.trials if trial.fingerprint in trained)
    finalists = schedule.finalists(num_finalists(screening, method))
    seeds = [len(screening.study.seeds) if arm in finalists else 0 for arm in range(len(screening.study.arms))]
    return screening.model_copy(update={"screening": found, "trials": kept}).with_seeds(seeds)
