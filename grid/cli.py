"""The command line: `cifar-grid run q2 q3`, or the same through `python grid/run.py q2 q3`.

Options, their defaults and their help are the fields of the models that a command takes. What takes long to import is
imported by the command that needs it.
"""

import contextlib
import json
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, Token
from pydantic import Field, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grid.errors import LostClusterError, LostLockError, UserError, first_error, one_line, printable
from grid.execution.resources import Resources, Storage, expand_home
from grid.runs.method import Method, PlannedMethod
from grid.runs.request import DataRequest, Request

app = App(
    name="cifar-grid",
    help="Asks questions of image classifiers, and answers them with trained trials and their uncertainty.",
    help_flags=("--help",),
    help_format="plaintext",
    version=lambda: version("cifar-grid"),
    version_flags=("--version",),
    default_parameter=Parameter(negative=(), allow_leading_hyphen=True, allow_repeating=True),
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
out = Console(highlight=False, soft_wrap=True)


def _user_path(_: type, tokens: Sequence[Token]) -> Path:
    return expand_home(Path(tokens[0].value))


Question = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=False,  # an option that is not known is no question
        help="Names (q2 is enough) or paths of .yaml files; all of the catalogue if none.",
    ),
]
Results = Annotated[Path, Parameter(converter=_user_path, help="Folder for the ledger, the tables and the pages.")]
RESULTS = Path("results")
TakeOver = Annotated[
    bool, Parameter(help="Takes the folder from a run of which nobody can tell whether it was killed.")
]
Price = Annotated[
    float | None, Field(ge=0, allow_inf_nan=False), Parameter(help="Price of a GPU hour, for the plan's cost.")
]
Images = Annotated[
    Literal["svg", "pdf", "png"] | None,
    Parameter(help="Also draws each chart to images/ there, for print; needs cifar-grid[images] and a Chromium."),
]
Timed = Annotated[
    bool,
    Parameter(
        name="--time", negative="--no-time", help="Whether to time some steps of each network, to say what a run takes."
    ),
]


@app.command
def run(
    *questions: Question,
    request: Request = Request(),
    method: Method = Method(),
    resources: Resources = Resources(),
    results: Results = RESULTS,
    take_over: TakeOver = False,
) -> int:
    """Trains what the ledger does not hold yet, then writes tables and pages."""
    from grid.records.results_folder import ResultsFolder
    from grid.runs.session import Session

    asked = request.of(questions, resources)
    index, complete = Session(asked, method, ResultsFolder(results), out, take_over=take_over).run()
    out.print(f"Report: {index.resolve()}")
    return 0 if complete else 1


@app.command
def plan(
    *questions: Question,
    request: Request = Request(),
    method: PlannedMethod = PlannedMethod(),
    resources: Resources = Resources(),
    results: Results = RESULTS,
    gpu_price: Price = None,
    timed: Timed = True,
) -> None:
    """Says what a run with the same options would train and take, and trains nothing."""
    from grid.records.results_folder import ResultsFolder
    from grid.runs.planning import print_plan

    asked = request.of(questions, resources)
    print_plan(asked, method, ResultsFolder(results), out, price=gpu_price, timed=timed)


@app.command
def verdicts(
    question: Annotated[str | None, Parameter(help="Name or start of a study; all if none.")] = None,
    /,
    *,
    results: Results = RESULTS,
    pairs: Annotated[bool, Parameter(help="Of each pair of arms instead of each claim.")] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="As JSON, a row of the table each.")] = False,
    markdown: Annotated[bool, Parameter(help="The claims that can be judged there, as a table in Markdown.")] = False,
) -> None:
    """Says what holds of each claim, or of each pair of arms, by the report as it was last made."""
    if markdown and (pairs or as_json):
        raise UserError("--markdown is for claims alone; leave out --pairs and --json")
    from grid.records.results_folder import ResultsFolder
    from grid.report.pipeline import read_verdicts

    rows = read_verdicts(ResultsFolder(results), question, pairs=pairs)
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from grid.analysis.wording import effect_in_words, pair_in_words

    if markdown:
        print("| study | claim | verdict | by how much (95 % interval) | seeds |\n|---|---|---|---|---|")
        for row in rows:
            if row["verdict"] != "not comparable":
                cells = (row["study"], row["says"], row["verdict"], effect_in_words(row), str(row["num_seeds"] or ""))
                print("|", " | ".join(re.sub(r"([\\|<])", r"\\\1", one_line(text)) for text in cells), "|")
        return
    headings = ("arm", "is", "than", "by points", "95 % interval", "p corrected", "seeds", "method")
    for study, found in groupby(rows, key=lambda row: str(row["study"])):
        columns = headings if pairs else ("claim", "verdict", "why")
        table = Table(*columns, title=escape(one_line(study)), title_justify="left", box=None, header_style="bold")
        for row in found:
            seeds = f"{row.get('seeds_needed_low')} to {row.get('seeds_needed')}"
            advice = f" About {seeds} seeds would decide it." if row.get("seeds_needed") else ""
            texts = pair_in_words(row) if pairs else (row["says"], row["verdict"], row["finding"] + advice)
            table.add_row(*(escape(one_line(text)) for text in texts))
        out.print(table, "", soft_wrap=False)


@app.command(name="list")
def list_questions() -> None:
    """Names the questions of the catalogue, and the profiles."""
    from grid.questions.question import catalogue, find_question, read_profiles

    table = Table("question", "asks", box=None, header_style="bold", pad_edge=False)
    for name in catalogue():
        table.add_row(name, find_question(name).question.title)
    profiles = Table("profile", "data set", "seeds", "about", box=None, header_style="bold", pad_edge=False)
    for name, profile in read_profiles().items():
        profiles.add_row(name, profile.dataset, str(profile.seeds), profile.about)
    out.print(table, "", profiles, soft_wrap=False)


@app.command
def report(*, results: Results = RESULTS, images: Images = None) -> None:
    """Makes tables and pages anew from the ledger; needs neither torch nor Ray."""
    from grid.records.lock import held_lock
    from grid.records.results_folder import ResultsFolder
    from grid.report.card import answer_lines
    from grid.report.pipeline import make_report

    folder = ResultsFolder(results)

    def mend(damaged: Collection[str]) -> None:
        with contextlib.suppress(UserError), held_lock(results, shlex.join(sys.argv)):  # a run at work does it itself
            for moved in folder.ledger.set_aside_damaged(damaged):
                out.print(one_line(moved), markup=False)

    if images:
        from grid.report.images import check_can_draw

        check_can_draw()
    index, cards = make_report(folder, mend=mend)
    for line in answer_lines(cards):
        out.print(line, markup=False, soft_wrap=False)
    out.print(f"\nReport: {index.resolve()}", markup=False)
    if images:
        from grid.report.findings import results_of
        from grid.report.images import write_images

        drawn = write_images(results_of(folder, folder.read_plans()), folder.files, images)
        out.print(f"Images: {drawn.resolve()}", markup=False)


@app.command
def disagreements(
    study: Annotated[str, Parameter(help="Name or start of a study.")],
    first: Annotated[str, Parameter(help="An arm: its label on the page, or a part that no other has.")],
    second: Annotated[str, Parameter(help="Another arm.")],
    /,
    *,
    data_dir: Annotated[
        Path | None, Parameter(converter=_user_path, help="Where the data set is; ./data if not given.")
    ] = None,
    to: Annotated[Path, Parameter(converter=_user_path, help="File to write; none below the results.")] = Path(
        "disagreements.html"
    ),
    results: Results = RESULTS,
) -> None:
    """Shows the test images that only one of two arms gets right, on a page of their own."""
    from grid.records.results_folder import ResultsFolder
    from grid.report.disagreements import write_disagreements

    page = write_disagreements(ResultsFolder(results), study, (first, second), data_dir, to)
    out.print(f"Images: {page.resolve()}", markup=False)


@app.command
def doctor(*, request: DataRequest = DataRequest(), storage: Storage = Storage(), results: Results = RESULTS) -> int:
    """Looks on every node for what would make a run fail or crawl, and says how to mend it."""
    from grid.execution.doctor import diagnose
    from grid.records.results_folder import ResultsFolder

    def load_data() -> str:
        return f"{request.dataset_label()}, fingerprint {request.data_fingerprint[:12]}"

    checks = diagnose(ResultsFolder(results).ledger, load_data, storage.checkpoints)
    words = {True: "[green]ok[/]", None: "[yellow]warning[/]", False: "[red]wrong[/]"}
    table = Table("", "check", "node", "seen", "to mend it", box=None, header_style="bold", pad_edge=False)
    for check in checks:
        table.add_row(
            words[check.ok], *(escape(text) for text in (check.name, check.node, check.seen, check.mend or ""))
        )
    out.print(table, soft_wrap=False)
    return 1 if any(check.ok is False for check in checks) else 0


@app.command
def export(
    fingerprint: Annotated[str, Parameter(help="The trial's, or its first digits; as on the page or in the tables.")],
    /,
    *,
    to: Annotated[Path, Parameter(converter=_user_path, help="Folder to write to.")] = Path("exported"),
    results: Results = RESULTS,
) -> None:
    """Writes the kept weights of a trial, its configuration, and a snippet that loads them."""
    from grid.records.export import export_trial
    from grid.records.results_folder import ResultsFolder

    folder = export_trial(ResultsFolder(results).ledger, fingerprint, to)
    out.print(f"Exported: {folder.resolve()}; try: python {folder / 'load.py'}", markup=False)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command, `run` if none is named. A user's mistake ends with one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] not in [*app]:
        arguments = ["run", *arguments]
    try:
        sys.exit(app(arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except CycloptsError as error:
        message, code = _explain_option(error, arguments[0]), 2
    except UserError as error:
        message, code = str(error), 2
    except (LostClusterError, LostLockError) as error:
        message, code = str(error), 1
    except OSError as error:  # a full disk, a file where a folder should be
        message, code = f"{error.filename or 'input or output'}: {error.strerror or error}", 1
    print(f"cifar-grid: {one_line(message)}", file=sys.stderr)
    sys.exit(code)


def _explain_option(error: CycloptsError, command: str) -> str:
    """Says in one line which option is wrong, and what is allowed."""
    cause, argument, advice = error.__cause__, error.argument, f" (see cifar-grid {command} --help)"
    if argument is None or not isinstance(cause, ValidationError):
        return printable(str(error).rstrip(".")) + advice
    found = first_error(cause)
    field, value = found["loc"][:1], repr(found["input"])[:80]
    option = next((child.name for child in argument.children if child.keys[-1:] == field), argument.name)
    match found["type"]:
        case "value_error":
            return f"{option}: {found['ctx']['error']}" if field else str(found["ctx"]["error"])
        case "literal_error":
            allowed = ", ".join(re.findall("'(.*?)'", found["ctx"]["expected"]))
            return f"{option}: {value} is not one of {allowed}{advice}"
    number, reason = value.strip("'"), found["msg"][:1].lower() + found["msg"][1:]
    return f"{option}: {number} is not allowed: {reason}{advice}"
