"""The command as a user types it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]


def command(*arguments: object, cwd: Path | None = None, script: bool = False) -> subprocess.CompletedProcess[str]:
    entry = [str(ROOT / "grid" / "run.py")] if script else ["-c", "from grid.cli import main; main()"]
    return subprocess.run(
        [sys.executable, *entry, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=600
    )


def folder_of(tmp_path: Path, kind: str) -> Path:
    """A data folder that is wrong in some way."""
    folder = tmp_path / kind
    if kind != "missing":
        folder.mkdir()
    if kind == "corrupt":
        for part in ("train", "test"):
            (folder / f"{part}-00000-of-00001.parquet").write_bytes(b"PAR1 not really")
    if kind == "columns":
        for part in ("train", "test"):
            pq.write_table(pa.table({"picture": [1], "label": [2]}), folder / f"{part}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["q99"], "unknown question 'q99'; known are"),
        (["q3", "--profile", "huge"], "--profile: 'huge' is not one of quick, cpu, night, paper"),
        (["q3", "--dataset", "mnist"], "--dataset: 'mnist' is not one of digits, cifar10, cifar100, folder"),
        (["q3", "--set", "optimizer.name=adamm"], "optimizer.name: 'adamm' is not one of 'sgd'"),
        (["q3", "--set", "optimizer.rate=1"], "optimizer.rate: unknown field; known are name, lr"),
        (["q3", "--set", "optimizer.lr=-1"], "optimizer.lr: -1 is not allowed: input should be greater than 0"),
        (["q3", "--set", "model.pool_every=1", "--set", "model.layers_per_block=9"], "below one pixel"),
        (["q3", "--set", "epochs"], "--set: 'epochs' is not FIELD=VALUE"),
        (["q3", "--set", "batch_size=5000"], "batch_size: 5000 is more than the"),
        (["q3", "--set", "data.train_size=5000"], "train_size"),
        (["q3", "--set", "epochs=2001-99-99"], "'2001-99-99' is YAML for a timestamp"),
        (["q3", "--set", "seed=3"], "seed is chosen for a whole run, with --seeds"),
        (
            ["q3", "--seeds", "0"],
            "--seeds: 0 is not allowed: input should be greater than or equal to 1 (see cifar-grid",
        ),
        (["q3", "--seeds", "many"], "--seeds: many is not allowed: input should be a valid integer"),
        (["q3", "--gpus-per-trial", "-1"], "--gpus-per-trial: -1 is not allowed: input should be greater than"),
        (["q3", "--scheduler", "random"], "--scheduler: 'random' is not one of grid, asha"),
        (["q3", "--no-such-option"], "Unknown option: --no-such-option"),
        (["q3", "--until-decided"], "--until-decided needs --max-trials"),
        (["q3", "--max-trials", "3"], "--max-trials is the budget of --until-decided"),
        (["q3", "--until-decided", "--max-trials", "3", "--scheduler", "asha"], "leave out --scheduler asha"),
        (["q3", "--resources", "resnet50=lots"], "'resnet50=lots' is not ARCHITECTURE=CPUS,GPUS"),
        (["q3", "--scheduler", "asha", "--set", "epochs=1"], "an arm trains for only 1 epoch"),
        (["q3", "--scheduler", "asha", "--first-seed", "999999"], "--first-seed: take one below 1,000,000"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = command("run", *arguments, "--results", tmp_path / "results")
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists(), "nothing half-written"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("batch_size=1000000000000", "batch_size: 1000000000000 is not allowed"),
        ("batch_size=1000000", "batch_size: 1000000 is more than the"),
        ("data.train_size=1000000", "train_size 1000000 is too large"),
        ("data.test_size=1000000", "test_size 1000000 is too large"),
        ("data.val_fraction=0.00001", "val_fraction 1e-05 of"),
        ("data.val_fraction=0.99999", "val_fraction 0.99999 leaves no training image"),
    ],
)
@pytest.mark.parametrize("options", [["run"], ["plan", "--no-time"]], ids=["run", "plan"])
def test_a_plan_refuses_what_a_run_refuses(tmp_path: Path, options: list[str], setting: str, expected: str) -> None:
    done = command(*options, "q3", "--set", setting, "--results", tmp_path / "results")
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "corrupt", "columns"])
def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path, kind: str) -> None:
    folder = folder_of(tmp_path, kind)
    done = command("run", "q3", "--dataset", "cifar10", "--data-dir", folder, "--results", tmp_path / "results")
    assert done.returncode == 2, done.stderr
    assert str(folder) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists(), "nothing half-written"


def test_a_results_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    done = command("run", "q3", "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "can't be written" in done.stderr and "--results" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_report_without_results_says_what_to_do(tmp_path: Path) -> None:
    done = command("report", "--results", tmp_path / "none")
    assert done.returncode == 2
    assert "no results here; run a question first" in done.stderr


def test_verdicts_without_a_report_say_what_to_do(tmp_path: Path) -> None:
    done = command("verdicts", "--results", tmp_path / "none")
    assert done.returncode == 2
    assert "make it with cifar-grid report" in done.stderr


def test_what_was_not_kept_can_not_be_exported(tmp_path: Path) -> None:
    done = command("export", "../etc", "--results", tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_script_and_command_are_the_same_thing(tmp_path: Path) -> None:
    by_script = command("plan", "q3", "--no-time", cwd=tmp_path, script=True)
    by_command = command("plan", "q3", "--no-time", cwd=tmp_path)
    assert by_script.returncode == by_command.returncode == 0
    assert by_script.stdout == by_command.stdout
    assert "q3-batch-norm-quick-digits" in by_script.stdout


def test_a_plan_says_what_a_run_takes_and_a_run_beyond_the_limit_does_not_start(tmp_path: Path) -> None:
    options = ("--seeds", "1", "--set", "epochs=2", "--results", tmp_path / "results")
    done = command("plan", "q3", "--scheduler", "asha", "--gpus-per-trial", "0", *options)
    assert done.returncode == 0, done.stderr
    for words in ("ASHA screens every setting", "Trials at once: ", "Wall time: ", "Checkpoints: "):
        assert words in done.stdout
    refused = command("run", "q3", "--gpus-per-trial", "1", "--max-gpu-hours", "0.1", *options)
    assert refused.returncode == 2
    assert "--max-gpu-hours" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_without_a_command_it_runs(tmp_path: Path) -> None:
    assert "unknown question 'q99'" in command("q99", cwd=tmp_path, script=True).stderr
    assert "unknown question 'q99'" in command("run", "q99", cwd=tmp_path, script=True).stderr


def test_list_shows_every_question_and_profile() -> None:
    done = command("list")
    assert done.returncode == 0
    for word in ("q2-optimizers", "q3-batch-norm", "quick", "cpu", "paper"):
        assert word in done.stdout


def test_run_py_copied_elsewhere_still_finds_the_installed_package(tmp_path: Path) -> None:
    """Ray submits that one file alone, to another folder."""
    copy = tmp_path / "run.py"
    copy.write_text((ROOT / "grid" / "run.py").read_text())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(copy), "list"], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "q2-optimizers" in done.stdout
