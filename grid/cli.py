"""The command line: `cifar-grid run q2 q3`, or the same through `python grid/run.py q2 q3`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from grid import session
from grid.errors import LostClusterError, UserError
from grid.execution.resources import Resources
from grid.questions.question import catalogue, find_question, read_profiles
from grid.request import Request
from grid.results import ResultsFolder

app = typer.Typer(
    help="Asks questions of image classifiers, and answers them with trained trials and their uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)

Questions = Annotated[
    list[str] | None, typer.Argument(help="Names (q2 is enough) or paths of .yaml files; all of the catalogue if none.")
]
ProfileName = Annotated[str, typer.Option("--profile", help="The budget: quick, cpu or paper.")]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="digits, cifar10, cifar100 or folder; the profile's if not given.")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the data set is; ./data if not given.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, max=1000, help="Seeds an arm; the profile's if not given.")
]
Results = Annotated[Path, typer.Option("--results", help="Folder for the ledger, the tables and the pages.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE for every arm, such as epochs=10; may be repeated.")
]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"], typer.Option(help="Number format; auto takes bf16 where the hardware has it.")
]
Gpus = Annotated[
    float | None, typer.Option("--gpus-per-trial", min=0, help="A fraction shares a GPU; one if this machine has any.")
]
Cpus = Annotated[float, typer.Option("--cpus-per-trial", min=0.01, help="CPUs a trial; also its number of threads.")]
MaxTrials = Annotated[
    int | None, typer.Option("--max-trials-at-once", min=1, help="Most trials at once; as many as fit if not given.")
]
WeightsDir = Annotated[
    Path | None, typer.Option("--weights-dir", help="Where files of published weights are, before they are downloaded.")
]
RESULTS = Path("results")
UsageError: Any = typer.BadParameter.__base__  # of every wrong option; typer does not export it


@app.command()
def run(
    questions: Questions = None,
    profile: ProfileName = "quick",
    dataset: DatasetName = None,
    data_dir: DataDir = None,
    seeds: Seeds = None,
    results: Results = RESULTS,
    settings: Settings = None,
    precision: Precision = "auto",
    gpus_per_trial: Gpus = None,
    cpus_per_trial: Cpus = 1,
    max_trials_at_once: MaxTrials = None,
    weights_dir: WeightsDir = None,
) -> None:
    """Trains what the ledger does not hold yet, then writes tables and pages."""
    request = _request(questions, profile, dataset, data_dir, seeds, settings, precision, gpus_per_trial)
    resources = Resources(
        cpus=cpus_per_trial, gpus=gpus_per_trial, max_trials=max_trials_at_once, weights_dir=weights_dir
    )
    index, complete = session.run(request, ResultsFolder(results), resources, out)
    out.print(f"Report: {index.resolve()}")
    raise typer.Exit(0 if complete else 1)


@app.command()
def plan(
    questions: Questions = None,
    profile: ProfileName = "quick",
    dataset: DatasetName = None,
    data_dir: DataDir = None,
    seeds: Seeds = None,
    results: Results = RESULTS,
    settings: Settings = None,
    precision: Precision = "auto",
    gpus_per_trial: Gpus = None,
) -> None:
    """Says what a run with the same options would train, and trains nothing."""
    request = _request(questions, profile, dataset, data_dir, seeds, settings, precision, gpus_per_trial)
    session.print_plan(request, ResultsFolder(results), out)


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
def report(results: Results = RESULTS) -> None:
    """Makes tables and pages anew from the ledger; needs neither torch nor Ray."""
    out.print(f"Report: {ResultsFolder(results).report().resolve()}")


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
    except OSError as error:  # a full disk, a file where a folder should be
        print(f"cifar-grid: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except LostClusterError as error:
        print(f"cifar-grid: {error}", file=sys.stderr)
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
