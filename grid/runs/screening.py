"""A study's screening: where it stands by the ledger, and the plan that confirms what it found."""

from grid.execution.asha import AshaSchedule, choose_num_finalists, describe
from grid.records.ledger import Ledger
from grid.records.plan import Screening, StudyPlan, make_screening
from grid.records.status import RETRIED
from grid.runs.method import PlannedMethod


def plan_screening(plan: StudyPlan, method: PlannedMethod) -> StudyPlan:
    """The trials that screen a study's arms, with the rule in words.

    Raises:
        UserError: An arm's budget is too small to compare anything before its end.
    """
    screening = make_screening(plan.study, plan.data_fingerprint, method.screening_seeds)
    rule = describe([arm.config.epochs for arm in plan.study.arms], method.screening_seeds, num_finalists(plan, method))
    return screening.model_copy(update={"screening": Screening(rule=rule, standings=())})


def num_finalists(plan: StudyPlan, method: PlannedMethod) -> int:
    """How many arms are trained in full."""
    return method.finalists or choose_num_finalists(len(plan.study.arms))


def schedule_of(screening: StudyPlan, ledger: Ledger, *, retry: bool) -> AshaSchedule:
    """A screening as far as the ledger has it.

    Args:
        screening: Its trials.
        ledger: What was trained.
        retry: Whether trials that failed, but not for good, are still to come.
    """
    cells = [
        {t.fingerprint: screening.config(t) for t in screening.trials if t.arm == arm and t.stage == "screening"}
        for arm in range(len(screening.study.arms))
    ]
    records = ledger.read(fingerprint for cell in cells for fingerprint in cell)
    known = {
        fingerprint: (record.status, [epoch.val_acc for epoch in record.epochs])
        for fingerprint, record in records.items()
        if not (retry and record.status in RETRIED)
    }
    return AshaSchedule(cells, known)


def confirmation(screening: StudyPlan, ledger: Ledger, method: PlannedMethod) -> StudyPlan:
    """The screening with what it found and, once it is done, the trials at full budget of the best arms."""
    schedule = schedule_of(screening, ledger, retry=False)
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
