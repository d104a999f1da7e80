"""One run from its plan to its report, told to whoever watches."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grid.errors import QuestionError
from grid.execution.progress import ProgressDisplay, RunState, budgets
from grid.execution.resources import Resources
from grid.questions.expansion import Winners
from grid.records.plan import PlanCounts, StudyPlan, count, new_trials, settled_fingerprints
from grid.report.samples import samples_are_missing, write_samples
from grid.request import Request
from grid.results import ResultsFolder


def run(request: Request, folder: ResultsFolder, resources: Resources, out: Console) -> tuple[Path, bool]:
    """Trains what the ledger does not hold yet, then makes tables and pages.

    Questions that build on what others found are planned and trained after those.

    Returns:
        The index page, and whether every planned trial has a result (a diverged one is a result).

    Raises:
        UserError: Something in the request, the questions, the data or the folder is not usable.
    """
    questions = request.sourced()
    composed = [question for question in questions if question.question.parts]
    for question in composed:  # what is wrong in one is said now, not when its parts have been trained
        request.studies([question], {part: {} for part in question.question.parts})
    plans = request.plans([question for question in questions if not question.question.parts])
    _train(request, plans, (), folder, resources, out)
    complete = _all_ended(plans, folder)
    for question in composed if complete else []:
        try:
            later = request.plans([question], _winners(request, folder))
        except QuestionError as error:
            out.print(str(error))
            complete = False
            continue
        _train(request, later, plans, folder, resources, out)
        plans = [*plans, *later]
    for damaged in folder.set_aside_damaged():
        out.print(f"damaged trial {damaged.fingerprint}: {damaged.problem}; moved to {damaged.moved_to}")
    index = folder.report()
    return index, _print_outcome(plans, folder, out) and complete


def print_plan(request: Request, folder: ResultsFolder, out: Console) -> None:
    """Says what a run would train.

    Raises:
        UserError: Something in the request, the questions or the data is not usable.
    """
    questions = request.sourced()
    plans = request.plans([question for question in questions if not question.question.parts])
    _print_counts(plans, count(plans, settled_fingerprints(plans, folder.ledger)), out)
    for question in questions:
        if not question.question.parts:
            continue
        try:
            later = request.plans([question], _winners(request, folder))
        except QuestionError:
            out.print(f"{question.name}: planned when {', '.join(question.question.parts)} have run")
            continue
        every = [*plans, *later]
        _print_counts(later, count(every, settled_fingerprints(every, folder.ledger))[len(plans) :], out)


def _winners(request: Request, folder: ResultsFolder) -> Winners:
    return folder.winners(request.profile, request.dataset_label(), request.data_fingerprint())


def _all_ended(plans: Sequence[StudyPlan], folder: ResultsFolder) -> bool:
    """Whether every trial ended, in whatever way; not if the run was interrupted."""
    fingerprints = {trial.fingerprint for plan in plans for trial in plan.trials}
    return len(folder.ledger.read(fingerprints)) == len(fingerprints)


def _train(
    request: Request,
    plans: list[StudyPlan],
    earlier: Sequence[StudyPlan],
    folder: ResultsFolder,
    resources: Resources,
    out: Console,
) -> None:
    """Trains the new trials of the plans; `earlier` ones were trained before in this run."""
    if not plans:
        return
    for damaged in folder.ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials):
        out.print(f"damaged trial {damaged.fingerprint}: {damaged.problem}; moved to {damaged.moved_to}")
    settled = settled_fingerprints([*earlier, *plans], folder.ledger)
    _print_counts(plans, count([*earlier, *plans], settled)[len(earlier) :], out)
    trials = new_trials(plans, settled)
    dataset = request.load_dataset(plans) if trials else None  # the last check before anything is written
    folder.prepare()
    folder.save_plans(plans)
    folder.read_plans()  # what the report could not read later is said now
    for plan in plans:
        if samples_are_missing(plan.study, folder.root):
            write_samples(plan.study, folder.root)
    if dataset is None:
        return
    from grid.execution.launch import (
        train_all,
    )  # torch and Ray take seconds to import, and a finished run needs neither

    names = {t.fingerprint: f"{p.study.arms[t.arm].label}, seed {t.seed}" for p in plans for t in p.trials}
    with ProgressDisplay(RunState(budgets(trials), names), out) as display:
        train_all(trials, dataset, folder.ledger, resources, display)


def _print_counts(plans: Sequence[StudyPlan], counts: Sequence[PlanCounts], out: Console) -> None:
    table = Table("study", "planned", "cached", "shared", "new", box=None, header_style="bold", pad_edge=False)
    for plan, numbers in zip(plans, counts, strict=True):
        row = (numbers.planned, numbers.cached, numbers.shared, numbers.new)
        table.add_row(plan.study.name, *(str(number) for number in row))
    if plans:
        out.print(table)


def _print_outcome(plans: Sequence[StudyPlan], folder: ResultsFolder, out: Console) -> bool:
    """Says how the trials ended; returns whether each has a result."""
    fingerprints = [trial.fingerprint for plan in plans for trial in plan.trials]
    records = folder.ledger.read(fingerprints)
    statuses = Counter(records[f].status if f in records else "not_run" for f in dict.fromkeys(fingerprints))
    out.print("Trials: " + ", ".join(f"{number} {status}" for status, number in sorted(statuses.items())))
    if statuses["not_run"]:
        out.print("Interrupted: run the same command again to go on.")
    for reason in dict.fromkeys(r.reason for r in records.values() if r.status in ("error", "out_of_memory")):
        out.print(f"  {reason}")
    return not statuses.keys() & {"error", "out_of_memory", "not_run"}
