"""What a run would train and take, said before it starts."""

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

from grid.errors import QuestionError, UserError
from grid.forecast.estimate import Capacity, Estimate, estimate, estimate_in_words
from grid.questions.question import SourcedQuestion
from grid.records.plan import PlanCounts, StudyPlan, count, make_plan, new_trials, settled_fingerprints
from grid.records.results_folder import ResultsFolder
from grid.runs.method import Method, PlannedMethod
from grid.runs.request import Request
from grid.runs.screening import num_finalists, plan_screening, rehearse, rule_of, schedule_of
from grid.runs.weights import skipped_in_words, without_weights


def print_plan(
    request: Request, method: PlannedMethod, folder: ResultsFolder, out: Console, *, price: float | None, timed: bool
) -> None:
    """Says what a run would train and, if `timed`, what it would take; that is measured for some seconds.

    Args:
        request: What is asked.
        method: How a run goes about it.
        folder: What was trained already.
        out: Where it is said.
        price: Of a GPU hour, in whatever currency; no cost is said if None.
        timed: Whether to measure.

    Raises:
        UserError: Something in the request, the questions or the data is not usable; a run would say the same.
    """
    questions = request.sourced()
    simple = request.studies([question for question in questions if not question.question.parts])
    plans = [make_plan(study, request.data_fingerprint) for study in simple]
    settled = settled_fingerprints(plans, folder.ledger)
    print_counts(plans, count(plans, settled), out)
    for question in (question for question in questions if question.question.parts):
        try:
            later = plan_composed(question, request, folder)
        except QuestionError:
            out.print(f"{question.name}: planned when {', '.join(question.question.parts)} have run")
            continue
        settled |= settled_fingerprints(later, folder.ledger)
        plans += later
        print_counts(later, count(plans, settled)[-1:], out)
    if method.scheduler == "asha":
        plans = [plan_screening(plan, method) for plan in plans]
        settled = settled_fingerprints(plans, folder.ledger)
        for plan in plans:
            out.print(rule_of(plan))
    new = new_trials(plans, settled)
    skipped = without_weights(new, request.resources.weights_dir)
    for line in skipped_in_words(skipped):
        out.print(line, markup=False)
    if method.scheduler == "grid" and new.keys() <= skipped.keys():  # a screening may have its finalists to train
        out.print("Nothing of this is left to train.")
        return
    if timed:
        out.print("Timing some steps of each kind of trial that is new …")
        expected = expect(plans, request, method, folder, settled)
        kept = {"keeps_weights": method.keep_weights != "none", "keeps_states": request.resources.keep_states}
        for line in estimate_in_words(expected, price, **kept):
            out.print(line)
    elif new:
        request.load_dataset(plans)  # timing does it too: a run would refuse what does not fit the images
    if request.resources.checkpoints is None:
        out.print(
            "A trial that loses its node starts again, unless --checkpoints names storage that all nodes see; one that "
            "loses its process only goes on"
        )


def plan_composed(question: SourcedQuestion, request: Request, folder: ResultsFolder) -> list[StudyPlan]:
    """The study of a question that starts from what others found.

    Raises:
        QuestionError: They did not find enough yet.
    """
    from grid.report.findings import find_winners  # pandas takes seconds to import

    winners = find_winners(folder, request.profile, request.dataset_label(), request.data_fingerprint)
    return [make_plan(study, request.data_fingerprint) for study in request.studies([question], winners)]


def refuse_too_many_gpu_hours(
    plans: Sequence[StudyPlan], request: Request, method: Method, folder: ResultsFolder
) -> None:
    """Ends a run that would take more GPU hours than the user allows, before it starts.

    Raises:
        UserError: It would, or that can't be known here.
    """
    if method.max_gpu_hours is None:
        return
    if method.scheduler == "asha":
        plans = [plan_screening(plan, method) for plan in plans]
    expected = expect(plans, request, method, folder, settled_fingerprints(plans, folder.ledger))
    if expected.unknown and request.resources.settled().gpus:
        reason = next(iter(expected.unknown))
        raise UserError(f"--max-gpu-hours: how long trials take is not known, {reason}; leave it out, or run there")
    if expected.gpu_hours.high > method.max_gpu_hours:
        raise UserError(
            f"--max-gpu-hours: the run may take {expected.gpu_hours.high:.2f} GPU hours, more than "
            f"{method.max_gpu_hours:g}; ask for less, such as fewer --seeds, or allow more"
        )


def expect(
    plans: Sequence[StudyPlan],
    request: Request,
    method: PlannedMethod,
    folder: ResultsFolder,
    settled: Collection[str],
) -> Estimate:
    """What a run would take on this machine; times some steps of each kind of trial.

    Args:
        plans: Its studies; the screenings of them where it screens.
        request: What is asked.
        method: How the run goes about it.
        folder: What was trained already.
        settled: The trials that need no more training.
    """
    from grid.forecast.forecast import forecast  # torch takes seconds to import

    new = new_trials(plans, settled)
    skipped = without_weights(new, request.resources.weights_dir)
    configs = [config for fingerprint, config in new.items() if fingerprint not in skipped]
    if method.scheduler == "asha":
        configs = []
        for plan in plans:
            records = folder.ledger.read(trial.fingerprint for trial in plan.trials)
            trained = {fingerprint: len(record.epochs) for fingerprint, record in records.items()}
            mine = skipped.keys() & {trial.fingerprint for trial in plan.trials}
            configs += rehearse(schedule_of(plan, folder.ledger, retry=True, skipped=mine), trained)
            for arm in plan.study.arms[: num_finalists(plan, method)]:  # which they are changes little
                configs += [arm.config] * len(plan.study.seeds)
    if not configs:
        return estimate([], {}, {}, {}, Capacity(cpus=1))
    return forecast(configs, request.load_dataset(plans), folder.ledger, request.resources)


def print_counts(plans: Sequence[StudyPlan], counts: Sequence[PlanCounts], out: Console) -> None:
    """Prints how the trials of each study divide."""
    table = Table("study", "planned", "cached", "shared", "new", box=None, header_style="bold", pad_edge=False)
    for plan, numbers in zip(plans, counts, strict=True):
        row = (numbers.planned, numbers.cached, numbers.shared, numbers.new)
        table.add_row(plan.study.name, *(str(number) for number in row))
    if plans:
        out.print(table)
