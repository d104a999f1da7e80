"""Constructed reports: a usual one, and one in which every text tries to run a script."""

from pathlib import Path

from cifar_models.config import AugmentationConfig
from grid.analysis.study_result import study_results
from grid.questions.question import Answer
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan, make_plan
from grid.report.pages import write_report
from grid.report.samples import write_samples
from grid.tables.tables import make_tables
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
HOSTILE_PAGE = "small-quick-a'b&c"
Q1, Q3B, Q4, Q5, Q6, Q7, Q7B, Q8, SUMMARY = (
    f"{question}-quick-digits"
    for question in (
        "q1-architecture",
        "q3b-batch-norm-depth",
        "q4-regularisation",
        "q5-augmentation",
        "q6-resnet50",
        "q7-pretrained",
        "q7b-input-size",
        "q8-residual",
        "summary",
    )
)
ANSWERS = (
    Answer(asked="What is it for?", answer="It helps.", source="Someone 2015, arXiv 1", link="https://arxiv.org/abs/1"),
    Answer(asked="And in books?", answer="There too.", source="Someone else 2016, chapter 7"),
)


def written(plans: list[StudyPlan], ledger: Ledger, folder: Path) -> Path:
    """The folder of a report on plans, after it was written."""
    tables = make_tables(plans, ledger)
    return write_report(study_results(plans, tables), Folder(folder)).parent


def constructed_report(folder: Path) -> Path:
    """The folder of a report on three studies, of which nothing of the last was trained."""
    plans = [catalogue_plan("q2"), catalogue_plan("q3"), make_plan(small_study(), DATA_FINGERPRINT)]
    ledger = Ledger(Folder(folder).below("ledger"))
    for plan in plans[:2]:
        fill_ledger(plan, ledger)
    return written(plans, ledger, folder / "pages with spaces & é")


def kinds_report(folder: Path) -> Path:
    """The folder of a report on every other study of the catalogue."""
    plans = []
    for name in ("q5", "q1", "q3b", "q4", "q6", "q7", "q7b", "q8", "summary"):
        plan = catalogue_plan(name)
        study = plan.study.model_copy(update={"answers": ANSWERS})
        plans.append(make_plan(study, DATA_FINGERPRINT))
    ledger = Ledger(Folder(folder).below("ledger"))
    for plan in plans:
        fill_ledger(plan, ledger)
    write_samples(plans[0].study, Folder(folder))
    return written(plans, ledger, folder)


def hostile_report(folder: Path) -> Path:
    """The folder of a report in which every text that a user or an error can supply is HTML that would run."""
    study = small_study((f"{HOSTILE} one", f"{HOSTILE} {'very long ' * 20}"))
    axis = study.axes[0].model_copy(update={"label": HOSTILE})
    text = {"title": f"{HOSTILE}</script><script>alert(2)</script>", "about": HOSTILE, "dataset": "a'b&c"}
    answers = (Answer(asked=HOSTILE, answer=HOSTILE, source=HOSTILE, link="https://x.org/?javascript:alert(1)&a=b"),)
    flipped = study.arms[0].config.model_copy(update={"augmentation": AugmentationConfig(flip=1)})
    arms = (study.arms[0].model_copy(update={"config": flipped}), *study.arms[1:])
    study = study.model_copy(update={"axes": (axis,), "arms": arms, "answers": answers, **text})
    plan = make_plan(study, DATA_FINGERPRINT)
    ledger = Ledger(Folder(folder).below("ledger"))
    ledger.prepare()
    for trial in plan.trials:
        record, test = constructed_trial(plan, trial)
        if trial.seed == 1:
            failure = {"status": "error", "reason": f"{HOSTILE}</script>", "test_acc": None, "test_loss": None}
            record, test = record.model_copy(update=failure), None
        ledger.commit(record.model_copy(update={"machine": HOSTILE}), test)
    pages = folder / "pages"
    write_samples(study, Folder(pages))
    return written([plan], ledger, pages)
