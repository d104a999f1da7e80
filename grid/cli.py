"""The command line: `cifar-grid run q2 q3`, or the same through `python grid/run.py q2 q3`."""

import contextlib
import json
import shlex
import sys
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grid import options as opt
from grid.errors import LostClusterError, LostLockError, UserError
from grid.execution.resources import Resources
from grid.export import export_trial
from grid.planning import print_plan
from grid.questions.question import catalogue, find_question, read_profiles
from grid.records.lock import held_lock
from grid.records.results_folder import ResultsFolder
from grid.report.pipeline import make_report, read_verdicts
from grid.request import Request
from grid.session import Session

app = typer.Typer(
    help="Asks questions of image classifiers, and answers them with trained trials and their uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)

UsageError: Any = typer.BadParameter.__base__  # of every wrong option; typer does not export it


@app.command()
def run(
    questions: opt.Questions = None,
    profile: opt.ProfileName = "quick",
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = None,
    seeds: opt.Seeds = None,
    results: opt.Results = opt.RESULTS,
    settings: opt.Settings = None,
    precision: opt.Precision = "auto",
    scheduler: opt.Scheduler = "grid",
    screening_seeds: opt.ScreeningSeeds = 1,
    finalists: opt.Finalists = None,
    until_decided: opt.UntilDecided = False,
    max_trials: opt.MaxTrials = 0,
    gpus_per_trial: opt.Gpus = None,
    cpus_per_trial: opt.Cpus = 1,
    by_architecture: opt.ByArchitecture = None,
    max_trials_at_once: opt.MaxTrialsAtOnce = None,
    max_gpu_hours: opt.MaxGpuHours = None,
    checkpoints: opt.Checkpoints = None,
    weights_dir: opt.WeightsDir = None,
    keep_weights: opt.KeepWeights = "none",
    take_over: opt.TakeOver = False,
) -> None:
    """Trains what the ledger does not hold yet, then writes tables and pages."""
    request = _request(questions, profile, dataset, data_dir, seeds, settings, precision, gpus_per_trial)
    resources = Resources(
        cpus=cpus_per_trial,
        gpus=gpus_per_trial,
        by_architecture=opt.parse_shares(by_architecture),
        max_trials=max_trials_at_once,
        weights_dir=weights_dir,
        checkpoints=checkpoints,
    )
    method = opt.make_method(
        scheduler=scheduler,
        screening_seeds=screening_seeds,
        finalists=finalists,
        until_decided=until_decided,
        max_trials=max_trials,
        keep_weights=keep_weights,
        max_gpu_hours=max_gpu_hours,
    )
    session = Session(request, method, ResultsFolder(results), resources, out, take_over=take_over)
    index, complete = session.run()
    out.print(f"Report: {index.resolve()}")
    raise typer.Exit(0 if complete else 1)


@app.command()
def plan(
    questions: opt.Questions = None,
    profile: opt.ProfileName = "quick",
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = None,
    seeds: opt.Seeds = None,
    results: opt.Results = opt.RESULTS,
    settings: opt.Settings = None,
    precision: opt.Precision = "auto",
    scheduler: opt.Scheduler = "grid",
    screening_seeds: opt.ScreeningSeeds = 1,
    finalists: opt.Finalists = None,
    gpus_per_trial: opt.Gpus = None,
    cpus_per_trial: opt.Cpus = 1,
    by_architecture: opt.ByArchitecture = None,
    max_trials_at_once: opt.MaxTrialsAtOnce = None,
    checkpoints: opt.Checkpoints = None,
    keep_weights: opt.KeepWeights = "none",
    gpu_price: opt.GpuPrice = None,
    timed: opt.Timed = True,
) -> None:
    """Says what a run with the same options would train and take, and trains nothing."""
    request = _request(questions, profile, dataset, data_dir, seeds, settings, precision, gpus_per_trial)
    resources = Resources(
        cpus=cpus_per_trial,
        gpus=gpus_per_trial,
        by_architecture=opt.parse_shares(by_architecture),
        max_trials=max_trials_at_once,
        checkpoints=checkpoints,
    )
    method = opt.make_method(
        scheduler=scheduler, screening_seeds=screening_seeds, finalists=finalists, keep_weights=keep_weights
    )
    print_plan(request, method, ResultsFolder(results), resources, out, price=gpu_price, timed=timed)


@app.command()
def verdicts(
    question: Annotated[str | None, typer.Argument(help="Name or start of a study; all if none.")] = None,
    results: opt.Results = opt.RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, a row of verdicts.parquet each.")] = False,
) -> None:
    """Says what holds of each claim, by the report as it was last made."""
    rows = read_verdicts(ResultsFolder(results), question)
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for study, claims in groupby(rows, key=lambda row: str(row["study"])):
        table = Table("claim", "verdict", "why", title=study, title_justify="left", box=None, header_style="bold")
        for row in claims:
            advice = f" About {row['seeds_needed']} seeds would decide it." if row["seeds_needed"] else ""
            table.add_row(escape(row["says"]), row["verdict"], escape(row["finding"] + advice))
        out.print(table, "", soft_wrap=False)


@app.command("list")
def list_questions() -> None:
    """Names the questions of the catalogue, and the profiles."""
    table = Table("question", "asks", box=None, header_style="bold", pad_edge=False)
    for name in catalogue():
        table.add_row(name, find_question(name).question.title)
    profiles = Table("profile", "data set", "seeds", "about", box=None, header_style="bold", pad_edge=False)
    for name, profile in read_profiles().items():
        profiles.add_row(name, profile.dataset, str(profile.seeds), profile.about)
    out.print(table, "", profiles, soft_wrap=False)


@app.command()
def report(results: opt.Results = opt.RESULTS) -> None:
    """Makes tables and pages anew from the ledger; needs neither torch nor Ray."""
    folder = ResultsFolder(results)
    folder.read_plans()  # there have to be results
    with contextlib.suppress(UserError), held_lock(results, shlex.join(sys.argv)):  # a run at work there does it itself
        for damaged in folder.set_aside_damaged():
            out.print(str(damaged), markup=False)
    out.print(f"Report: {make_report(folder).resolve()}")


@app.command()
def doctor(
    profile: opt.ProfileName = "quick",
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = None,
    results: opt.Results = opt.RESULTS,
    checkpoints: opt.Checkpoints = None,
) -> None:
    """Looks on every node for what would make a run fail or crawl, and says how to mend it."""
    from grid.execution.doctor import diagnose  # torch and Ray take seconds to import

    request = Request(profile=profile, dataset=dataset, data_dir=data_dir)

    def load_data() -> str:
        return f"{request.dataset_label()}, fingerprint {request.data_fingerprint()[:12]}"

    checks = diagnose(ResultsFolder(results).ledger, load_data, checkpoints)
    words = {True: "[green]ok[/]", None: "[yellow]warning[/]", False: "[red]wrong[/]"}
    table = Table("", "check", "node", "seen", "to mend it", box=None, header_style="bold", pad_edge=False)
    for check in checks:
        table.add_row(
            words[check.ok], *(escape(text) for text in (check.name, check.node, check.seen, check.mend or ""))
        )
    out.print(table, soft_wrap=False)
    raise typer.Exit(1 if any(check.ok is False for check in checks) else 0)


@app.command()
def export(
    fingerprint: Annotated[
        str, typer.Argument(help="The trial's, or its first digits; as on the page or in the tables.")
    ],
    to: Annotated[Path, typer.Option("--to", callback=opt.expand_home, help="Folder to write to.")] = Path("exported"),
    results: opt.Results = opt.RESULTS,
) -> None:
    """Writes the kept weights of a trial, its configuration, and a snippet that loads them."""
    folder = export_trial(ResultsFolder(results).ledger, fingerprint, to)
    out.print(f"Exported: {folder.resolve()}; try: python {folder / 'load.py'}", markup=False)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command, `run` if none is named. A user's mistake ends with one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    if arguments and arguments[0] not in {*commands, "--help"}:
        arguments = ["run", *arguments]
    try:
        sys.exit(app(args=arguments, prog_name="cifar-grid", standalone_mode=False))
    except UsageError as error:
        print(f"cifar-grid: {error.format_message()} (see cifar-grid {arguments[0]} --help)", file=sys.stderr)
        sys.exit(2)
    except UserError as error:
        print(f"cifar-grid: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except (LostClusterError, LostLockError) as error:
        print(f"cifar-grid: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a file where a folder should be
        print(f"cifar-grid: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _request(
    questions: list[str] | None,
    profile: str,
    dataset: str | None,
    data_dir: Path | None,
    seeds: int | None,
    settings: list[str] | None,
    precision: str,
    gpus_per_trial: float | None,
) -> Request:
    return Request(
        questions=tuple(questions or ()),
        profile=profile,
        dataset=dataset,
        data_dir=data_dir,
        num_seeds=seeds,
        settings=tuple(settings or ()),
        precision=precision,
        on_gpu=None if gpus_per_trial is None else gpus_per_trial > 0,
    )
