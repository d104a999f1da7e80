"""The commands of docs/cluster.md with Slurm, on a real one of two nodes that is started here."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.slurm import Slurm, running_slurm, why_not

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "slurm.sbatch"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with running_slurm(tmp_path_factory.mktemp("slurm"), num_cpus=4) as slurm:
        yield slurm


def submit(slurm: Slurm, folder: Path, *arguments: str, **variables: str) -> str:
    """Types sbatch in a folder; returns the job's number."""
    borrowed = {"VENV": sys.prefix, "PYTHONPATH": str(ROOT)}
    sent = slurm.run("sbatch", "--parsable", *arguments, cwd=folder, **borrowed | variables)
    assert sent.returncode == 0, sent.stdout
    return sent.stdout.strip()


def exit_code(slurm: Slurm, job: str, folder: Path) -> int:
    shown = slurm.run("scontrol", "show", "job", job, cwd=folder).stdout
    found = re.search(r"ExitCode=(\d+):", shown)
    assert found, shown
    return int(found[1])


@pytest.mark.ray
@pytest.mark.slow
def test_a_job_of_two_nodes_trains_on_both_beside_another_job_and_leaves_nothing(slurm: Slurm, tmp_path: Path) -> None:
    question = ("q3", "--profile", "quick", "--seeds", "1", "--set", "epochs=1")
    two_nodes = ("--nodes=2", "--cpus-per-task=1", str(SCRIPT), *question)
    pair = submit(slurm, tmp_path, *two_nodes)
    beside = submit(slurm, tmp_path, "--nodelist=node1", "--cpus-per-task=1", str(SCRIPT), *question, RESULTS="beside")
    slurm.wait(pair, beside, seconds=300)

    for job, results in ((pair, "results"), (beside, "beside")):
        log = (tmp_path / f"cifar-grid-{job}.log").read_text()
        assert exit_code(slurm, job, tmp_path) == 0, log
        assert pd.read_parquet(tmp_path / results / "trials.parquet")["status"].tolist() == ["ok", "ok"]
    nodes = [manifest.read_text().count('"cpu":') for manifest in (tmp_path / "results" / "runs").rglob("*.json")]
    assert nodes == [2]
    left = [*Path("/tmp").glob(f"ray-{pair}-*"), *Path("/tmp").glob(f"ray-{beside}-*")]
    assert not left


def test_a_mistake_ends_the_job_with_its_one_line(slurm: Slurm, tmp_path: Path) -> None:
    job = submit(slurm, tmp_path, str(SCRIPT), "q3", VENV="nowhere")
    slurm.wait(job, seconds=30)
    assert exit_code(slurm, job, tmp_path) == 2
    (line,) = (tmp_path / f"cifar-grid-{job}.log").read_text().splitlines()
    assert line.startswith(f"slurm.sbatch: there is no cifar-grid in {tmp_path}/nowhere")


def test_the_script_is_valid_bash_and_asks_for_no_whole_node() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    text = SCRIPT.read_text()
    assert "--exclusive" not in text
    assert not re.search(r"^\s*(exec )?ray stop", text, re.MULTILINE), "it would end the Ray of every job of that user"
