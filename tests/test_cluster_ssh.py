"""The commands of the README on a cluster of two machines that are started here: up, submit, rsync-down, down."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.machine import Network, running_machines, why_not

ROOT = Path(__file__).parent.parent
RAY = str(Path(sys.executable).with_name("ray"))

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@dataclass(frozen=True)
class Cluster:
    """A cluster as its user sees it: a copy of the tree to type commands in, and two machines."""

    network: Network
    tree: Path
    name: str
    head: str
    worker: str

    def ray(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.network.run(RAY, *arguments, cwd=self.tree)

    def home(self, address: str) -> Path:
        return self.network.folder / address / "home"

    def worker_is_up(self) -> bool:
        """Whether Ray's own notes on the head say that the worker was set up and started."""
        notes = self.network.folder / self.head / "ray" / f"cluster-{self.name}.state"
        tags: dict[str, str] = json.loads(notes.read_text())[self.worker]["tags"]
        return tags.get("ray-node-status") == "up-to-date"

    def runs_ray(self, address: str) -> bool:
        options = ("-i", str(self.network.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        return self.network.run("ssh", *options, f"root@{address}", "pgrep raylet", cwd=self.tree).returncode == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """`ray up` of cluster-local.yaml, with nothing but the user, the key and a name of its own filled in."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cluster")
    tree = folder / "tree"
    subprocess.run(["rsync", "-a", "--filter=dir-merge,- .gitignore", f"{ROOT}/", tree], check=True)
    config = yaml.safe_load((tree / "cluster-local.yaml").read_text())
    head, (worker,) = config["provider"]["head_ip"], config["provider"]["worker_ips"]
    with running_machines(folder, [head, worker]) as network:
        config["cluster_name"] += f"-{os.getpid()}"
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(network.key)}
        (tree / "cluster-local.yaml").write_text(yaml.safe_dump(config))
        cluster = Cluster(network, tree, config["cluster_name"], head, worker)
        token = cluster.home(head) / ".ray" / "auth_token"  # as a run on the head alone would have left it
        token.parent.mkdir(parents=True)
        token.write_text("0" * 64)
        up = cluster.ray("up", "cluster-local.yaml", "--yes")
        assert up.returncode == 0, up.stdout
        deadline = time.monotonic() + 120
        while not cluster.worker_is_up():
            assert time.monotonic() < deadline, "the head did not start the worker"
            time.sleep(0.5)
        assert cluster.runs_ray(head) and cluster.runs_ray(worker)
        yield cluster
        down = cluster.ray("down", "cluster-local.yaml", "--yes")
        assert down.returncode == 0, down.stdout
        assert not cluster.runs_ray(head), "ray down left Ray running on the head"


def test_a_submitted_question_is_trained_on_both_machines_and_its_report_comes_home(cluster: Cluster) -> None:
    one_a_machine = ("--cpus-per-trial", str(os.cpu_count()))
    run = ("q3", "--profile", "quick", "--seeds", "1", "--set", "epochs=1", *one_a_machine)
    submit = cluster.ray("submit", "cluster-local.yaml", "grid/run.py", "--", *run)
    assert submit.returncode == 0, submit.stdout
    for address in (cluster.head, cluster.worker):
        compiled = cluster.home(address) / "cifar-grid" / "grid" / "execution" / "__pycache__"
        assert compiled.exists(), f"{address} trained nothing"

    down = cluster.ray("rsync-down", "cluster-local.yaml", "~/results/", "results/")
    assert down.returncode == 0, down.stdout
    trials = pd.read_parquet(cluster.tree / "results" / "trials.parquet")
    assert trials["status"].tolist() == ["ok", "ok"]
    assert (cluster.tree / "results" / "index.html").exists()


def test_a_users_mistake_ends_the_submitted_run_with_its_one_line(cluster: Cluster) -> None:
    submit = cluster.ray("submit", "cluster-local.yaml", "grid/run.py", "--", "q99")
    assert submit.returncode == 1
    assert "cifar-grid: unknown question 'q99'" in submit.stdout
    assert "Traceback" not in submit.stdout
