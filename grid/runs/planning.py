"""What a run would train and take, said before it starts."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cifar_models.config import TrainConfig
from grid.errors import QuestionError, UserError
from grid.execution.resources import Resources
from grid.forecast.estimate import Capacity, Estimate, estimate, estimate_in_words
from grid.forecast.rehearsal import rehearse
from grid.records.plan import PlanCounts, StudyPlan, count, new_trials, settled_fingerprints
from grid.records.results_folder import ResultsFolder
from grid.runs.method import Method, PlannedMethod
from grid.runs.request import Request
from grid.runs.screening import num_finalists, plan_screening, schedule_of


def print_plan(
    request: Request,
    method: PlannedMethod,
    folder: ResultsFolder,
    resources: Resources,
    out: Console,
    *,
    price: float | None,
    timed: bool,
) -> None:
    """Says what a run would train and, if `timed`, what it would take; that is measured for some seconds.

    Args:
        request: What is asked.
        method: How a run goes about it.
        folder: What was trained already.
        resources: What trials may use.
        out: Where it is said.
        price: Of a GPU hour, in whatever currency; no cost is said if None.
        timed: Whether to measure.

    Raises:
        UserError: Something in the request, the questions or the data is not usable; a run would say the same.
    """
    questions = request.sourced()
    plans = request.plans([question for question in questions if not question.question.parts])
    print_counts(plans, count(plans, settled_fingerprints(plans, folder.ledger)), out)
    for question in questions:
        if not question.question.parts:
            continue
        from grid.report.pipeline import find_winners  # pandas takes seconds to import

        try:
            winners = find_winners(folder, request.profile, request.dataset_label(), request.data_fingerprint)
            later = request.plans([question], winners)
        except QuestionError:
            out.print(f"{question.name}: planned when {', '.join(question.question.parts)} have run")
            continue
        every = [*plans, *later]
        print_counts(later, count(every, settled_fingerprints(every, folder.ledger))[len(plans) :], out)
        plans = every
    for plan in plans if method.scheduler == "asha" else []:
        screening = plan_screening(plan, method)
        out.print(f"{plan.study.name}: {screening.screening.rule if screening.screening else ''}")
    if timed:
        out.print("Timing some steps of each kind of trial that is new …")
        for line in estimate_in_words(
            expect(plans, request, method, folder, resources), price, keeps_weights=method.keep_weights != "none"
        ):
            out.print(line)
    elif _configs(plans, method, folder):
        request.load_dataset(plans)  # timing does it too: a run would refuse what does not fit the images
    if resources.checkpoints is None:
        out.print(
            "A trial that loses its node starts again, unless --checkpoints names storage that all nodes see; one that "
            "loses its process only goes on"
        )


def refuse_too_many_gpu_hours(
    plans: Sequence[StudyPlan], request: Request, method: Method, folder: ResultsFolder, resources: Resources
) -> None:
    """Ends a run that would take more GPU hours than the user allows, before it starts.

    Raises:
        UserError: It would, or that can't be known here.
    """
    if method.max_gpu_hours is None:
        return
    from grid.forecast.forecast import settled_here  # torch takes seconds to import

    expected = expect(plans, request, method, folder, resources)
    if expected.unknown and settled_here(resources).gpus:
        reason = next(iter(expected.unknown))
        raise UserError(f"--max-gpu-hours: how long trials take is not known, {reason}; leave it out, or run there")
    if expected.gpu_hours.high > method.max_gpu_hours:
        raise UserError(
            f"--max-gpu-hours: the run may take {expected.gpu_hours.high:.2f} GPU hours, more than "
            f"{method.max_gpu_hours:g}; ask for less, such as fewer --seeds, or allow more"
        )


def expect(
    plans: Sequence[StudyPlan], request: Request, method: PlannedMethod, folder: ResultsFolder, resources: Resources
) -> Estimate:
    """What a run of these studies would take on this machine; times some steps of each kind of trial."""
    from grid.forecast.forecast import forecast  # torch takes seconds to import

    configs = _configs(plans, method, folder)
    if not configs:
        return estimate([], {}, {}, {}, Capacity(cpus=1))
    return forecast(configs, request.load_dataset(plans), folder.ledger, resources)


def print_counts(plans: Sequence[StudyPlan], counts: Sequence[PlanCounts], out: Console) -> None:
    """Prints how the trials of each study divide."""
    table = Table("study", "planned", "cached", "shared", "new", box=None, header_style="bold", pad_edge=False)
    for plan, numbers in zip(plans, counts, strict=True):
        row = (numbers.planned, numbers.cached, numbers.shared, numbers.new)
        table.add_row(plan.study.name, *(str(number) for number in row))
    if plans:
        out.print(table)


def _configs(plans: Sequence[StudyPlan], method: PlannedMethod, folder: ResultsFolder) -> list[TrainConfig]:
    """What would be trained, in order; of a screening as if all arms did alike, which decides nothing of its length."""
    if method.scheduler == "grid":
        return list(new_trials(plans, settled_fingerprints(plans, folder.ledger)).values())
    configs: list[TrainConfig] = []
    for plan in plans:
        screening = plan_screening(plan, method)
        records = folder.ledger.read(trial.fingerprint for trial in screening.trials)
        trained = {fingerprint: len(record.epochs) for fingerprint, record in records.items()}
        alike = {trial.fingerprint: 0.5 for trial in screening.trials}
        configs += rehearse(schedule_of(screening, folder.ledger, retry=True), alike, 1, trained)
        for arm in plan.study.arms[: num_finalists(plan, method)]:
            configs += [arm.config] * len(plan.study.seeds)
    return configs
