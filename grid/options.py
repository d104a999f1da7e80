"""The options of the command line, as types that commands share, and what becomes of them."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from pydantic import ValidationError

from cifar_models.config import Architecture
from grid.errors import UserError
from grid.method import Method


def expand_home(path: Path | None) -> Path | None:
    """What `~` stands for, which a shell leaves alone inside quotes and after `=`."""
    return path and path.expanduser()


Questions = Annotated[
    list[str] | None, typer.Argument(help="Names (q2 is enough) or paths of .yaml files; all of the catalogue if none.")
]
ProfileName = Annotated[str, typer.Option("--profile", help="The budget: quick, cpu or paper.")]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="digits, cifar10, cifar100 or folder; the profile's if not given.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", callback=expand_home, help="Where the data set is; ./data if not given."),
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, max=1000, help="Seeds an arm; the profile's if not given.")
]
Results = Annotated[
    Path,
    typer.Option("--results", callback=expand_home, help="Folder for the ledger, the tables and the pages."),
]
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
ByArchitecture = Annotated[
    list[str] | None,
    typer.Option("--resources", help="ARCHITECTURE=CPUS,GPUS a trial, such as resnet50=4,1; may be repeated."),
]
MaxTrialsAtOnce = Annotated[
    int | None, typer.Option("--max-trials-at-once", min=1, help="Most trials at once; as many as fit if not given.")
]
WeightsDir = Annotated[
    Path | None,
    typer.Option(
        "--weights-dir",
        callback=expand_home,
        help="Where files of published weights are, before they are downloaded.",
    ),
]
Checkpoints = Annotated[
    str | None,
    typer.Option("--checkpoints", help="Path or URL that all nodes see, for trials that shall survive their node."),
]
KeepWeights = Annotated[
    Literal["none", "best", "all"],
    typer.Option("--keep-weights", help="Final weights to keep: of each study's best trial, or of all."),
]
Scheduler = Annotated[
    Literal["grid", "asha"], typer.Option(help="grid trains all; asha screens all arms and trains the best in full.")
]
ScreeningSeeds = Annotated[
    int, typer.Option("--screening-seeds", min=1, max=100, help="Seeds an arm is screened with.")
]
Finalists = Annotated[
    int | None, typer.Option("--finalists", min=2, help="Arms trained in full after screening; 2 or 3 if not given.")
]
UntilDecided = Annotated[
    bool, typer.Option("--until-decided", help="Gives further seeds to what is open; needs --max-trials.")
]
MaxTrials = Annotated[int, typer.Option("--max-trials", min=0, help="Trials that --until-decided may add.")]
MaxGpuHours = Annotated[
    float | None, typer.Option("--max-gpu-hours", min=0, help="Refuses to start a run that would take more.")
]
GpuPrice = Annotated[float | None, typer.Option("--gpu-price", min=0, help="Price of a GPU hour, for the plan's cost.")]
Timed = Annotated[
    bool, typer.Option("--time/--no-time", help="Whether to time some steps of each network, to say what a run takes.")
]
TakeOver = Annotated[
    bool,
    typer.Option("--take-over", help="Takes the folder from a run of which nobody can tell whether it was killed."),
]
RESULTS = Path("results")


def make_method(**choices: object) -> Method:
    """A method of the user's choices.

    Raises:
        UserError: They don't fit together.
    """
    try:
        return Method.model_validate(choices)
    except ValidationError as error:
        raise UserError(str(error.errors()[0]["ctx"]["error"])) from None


def parse_shares(texts: list[str] | None) -> dict[str, tuple[float, float]]:
    """CPUs and GPUs a trial, by architecture, from `resnet50=4,1`.

    Raises:
        UserError: One is not of that form.
    """
    shares = {}
    for text in texts or []:
        name, _, numbers = text.partition("=")
        try:
            cpus, gpus = (float(number) for number in numbers.split(","))
            if name not in get_args(Architecture) or not (0 < cpus < 10_000 and 0 <= gpus < 10_000):
                raise ValueError
        except ValueError:
            known = ", ".join(get_args(Architecture))
            raise UserError(
                f"--resources: {text!r} is not ARCHITECTURE=CPUS,GPUS, such as resnet50=4,1; architectures are {known}"
            ) from None
        shares[name] = (cpus, gpus)
    return shares
