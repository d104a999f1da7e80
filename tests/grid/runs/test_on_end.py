"""The user's command at the end of a run: it learns how the run ended, and can spoil nothing."""

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grid.records.manifest import Manifest, Outcome
from grid.runs.on_end import run_on_end

TELL = "import json, os, sys; json.dump([dict(os.environ), sys.argv[1:]], open('told.json', 'w'))"


def manifest(outcome: Outcome | None) -> Manifest:
    return Manifest(
        name="run-1", command=(), code=None, lock_sha256=None, versions={}, num_threads={}, started=datetime.now(UTC),
        outcome=outcome,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "told"), [("complete", "complete"), ("interrupted", "interrupted"), (None, "failed")]
)
def test_it_is_told_how_the_run_ended_and_no_shell_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome | None, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    command = shlex.join([sys.executable, "-c", TELL, "a b", "$HOME", ";", "touch", "spoilt"])
    run_on_end(command, manifest(outcome), Path("results"), said.append)
    environment, arguments = json.loads(Path("told.json").read_text())
    assert arguments == ["a b", "$HOME", ";", "touch", "spoilt"]
    names = ("OUTCOME", "RUN", "RESULTS", "REPORT")
    assert {f"CIFAR_GRID_{name}": environment[f"CIFAR_GRID_{name}"] for name in names} == {
        "CIFAR_GRID_OUTCOME": told,
        "CIFAR_GRID_RUN": "run-1",
        "CIFAR_GRID_RESULTS": str(tmp_path / "results"),
        "CIFAR_GRID_REPORT": str(tmp_path / "results" / "index.html"),
    }  # fmt: skip
    assert said == []


@pytest.mark.parametrize(
    ("command", "line"),
    [("no-such-program", "can't be run"), ("'", "can't be run"), ("", "can't be run"), ("false", "exit code 1")],
)
def test_what_goes_wrong_with_it_is_said_in_a_line(tmp_path: Path, command: str, line: str) -> None:
    said: list[str] = []
    run_on_end(command, manifest("complete"), tmp_path, said.append)
    assert len(said) == 1 and line in said[0]
