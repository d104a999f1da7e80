"""Constructed reports: a usual one, and one in which every text tries to run a script."""

from pathlib import Path

from grid.ledger import Ledger
from grid.pages import write_report
from grid.plan import make_plan
from grid.tables import make_tables
from tests.grid.constructed import (
    DATA_FINGERPRINT,
    HOSTILE,
    catalogue_plan,
    constructed_trial,
    fill_ledger,
    small_study,
)

Q2, Q3 = "q2-optimizers-quick-digits", "q3-batch-norm-quick-digits"
NOTHING_RAN = "small-quick-digits"


def constructed_report(folder: Path) -> Path:
    """The folder of a report on three studies, of which nothing of the last was trained."""
    plans = [catalogue_plan("q2"), catalogue_plan("q3"), make_plan(small_study(), DATA_FINGERPRINT)]
    ledger = Ledger(folder / "ledger")
    for plan in plans[:2]:
        fill_ledger(plan, ledger)
    return write_report(plans, make_tables(plans, ledger), folder / "pages with spaces & é").parent


def hostile_report(folder: Path) -> Path:
    """The folder of a report in which every text that a user or an error can supply is HTML that would run."""
    study = small_study((f"{HOSTILE} one", f"{HOSTILE} {'very long ' * 20}"))
    axis = study.axes[0].model_copy(update={"label": HOSTILE})
    text = {"title": f"{HOSTILE}</script><script>alert(2)</script>", "about": HOSTILE, "dataset": "a'b&c"}
    plan = make_plan(study.model_copy(update={"axes": (axis,), **text}), DATA_FINGERPRINT)
    ledger = Ledger(folder / "ledger")
    ledger.prepare()
    for trial in plan.trials:
        record, test = constructed_trial(plan, trial)
        if trial.seed == 1:
            failure = {"status": "error", "reason": f"{HOSTILE}</script>", "test_acc": None, "test_loss": None}
            record, test = record.model_copy(update=failure), None
        ledger.commit(record.model_copy(update={"machine": HOSTILE}), test)
    return write_report([plan], make_tables([plan], ledger), folder / "pages").parent
