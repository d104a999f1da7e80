"""Options of the command line and the models that they come from."""

import subprocess
import sys
from inspect import get_annotations
from pathlib import Path

import pytest
from cyclopts import Argument

from grid import cli
from grid.execution.resources import Resources, Share
from grid.runs.method import Method
from grid.runs.request import Request

OF_THE_COMMAND = {"--results", "--take-over"}
"""Options of `run` that are of no model: where it writes, and whether another run may still do so."""


def options_of(command: str) -> list[Argument]:
    arguments = cli.app[command].assemble_argument_collection(parse_docstring=True)
    return [argument for argument in arguments if argument.parse and argument.show and argument.name.startswith("--")]


@pytest.mark.parametrize("command", ["run", "plan", "verdicts", "report", "doctor", "export"])
def test_every_option_has_help(command: str) -> None:
    assert {option.name: bool(option.parameter.help) for option in options_of(command)} == {
        option.name: True for option in options_of(command)
    }


def test_every_option_of_run_stands_in_exactly_one_model() -> None:
    arguments = cli.app["run"].assemble_argument_collection()
    models = {argument.field_info.name: argument for argument in arguments if argument.children}
    assert models.keys() == {"request", "method", "resources"}
    written = []
    for model in models.values():
        for option in model.children:
            (field,) = option.keys
            assert [field in get_annotations(base) for base in model.hint.__mro__].count(True) == 1
            written += [option.name] if option.parse else []
    assert len(written) == len(set(written))
    assert {option.name for option in options_of("run")} - set(written) == OF_THE_COMMAND


def test_options_of_plan_and_doctor_are_those_of_run() -> None:
    run = {option.name for option in options_of("run")}
    assert {option.name for option in options_of("plan")} - run == {"--gpu-price", "--time"}
    assert {option.name for option in options_of("doctor")} <= run


def parsed(*arguments: str) -> dict[str, object]:
    """What `run` would get."""
    _, bound, _ = cli.app.parse_args(["run", *arguments])
    return dict(bound.arguments)


def test_values_come_to_the_models_as_they_were_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    got = parsed(
        *("q2", "--set", "optimizer.lr=-1", "--seeds", "2", "--set", "-x=1", "q3", "--seeds=3", "--data-dir=~/data"),
        *("--resources", "resnet50=4,1", "--gpus-per-trial", "0.25", "--resources", "resnext50=2,0.5"),
        *("--weights-dir", "~/weights", "--results", "~/results", "--checkpoints", "-odd", "--until-decided"),
        *("--max-trials", "7", "--max-trials-at-once", "2"),
    )
    request, method, resources = got["request"], got["method"], got["resources"]
    assert isinstance(request, Request) and isinstance(method, Method) and isinstance(resources, Resources)
    assert got["questions"] == ("q2", "q3")
    assert request.settings == ("optimizer.lr=-1", "-x=1")
    assert request.seeds == 3, "what is said last holds"
    assert request.data_dir == Path("/home/someone/data")
    assert resources.weights_dir == Path("/home/someone/weights")
    assert got["results"] == Path("/home/someone/results")
    assert resources.checkpoints == "-odd"
    assert resources.share("resnet50") == Share(cpus=4, gpus=1)
    assert resources.share("resnext50") == Share(cpus=2, gpus=0.5)
    assert resources.share("densenet121") == Share(cpus=1, gpus=0.25)
    assert (method.until_decided, method.max_trials, resources.max_trials) == (True, 7, 2)
    assert request.of(("q2",), resources).resources == resources


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["list"]])
def test_help_and_the_list_import_nothing_that_takes_long(arguments: list[str]) -> None:
    code = f"""
import atexit, sys
from grid.cli import main
slow = {{"torch", "ray", "pandas", "numpy", "plotly", "pyarrow", "scipy"}}
atexit.register(lambda: print("imported:", *slow & sys.modules.keys()))
main({arguments})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "q2"],
        ["export"],
        ["verdicts", "--results"],
        ["q3", "--set", "{}"],
        ["q3", "--seeds", "1\n2\x1b[2J"],
        ["q3", "--scheduler", "\x1b[2J" * 1000],
        ["q3", "--\x1b[2J\n"],
        ["plan", "--gpu-price", "\n"],
    ],
)
def test_a_command_line_that_can_not_be_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("cifar-grid: ") and said.endswith("--help)\n")
    assert said.removesuffix("\n").isprintable() and len(said) < 300


def test_without_anything_it_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert all(command in said for command in ("run", "plan", "verdicts", "list", "report", "doctor", "export"))
