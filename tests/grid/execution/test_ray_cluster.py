"""A Ray cluster of three nodes on this machine; the GPUs of two exist only for Ray's count: torch trains on the CPU."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from grid.errors import UserError
from grid.execution.resources import Resources
from grid.execution.schedule import Queue
from tests.grid.execution.small_runs import POLL_S, Driver, children, curves, run, small_trials, uninterrupted

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FINISHED = "ledger/[0-9a-f][0-9a-f]/*/trial.json"
"""Trials in the ledger; what is still being written lies beside them, in a hidden folder that a `*` would match."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
    cluster.shutdown()


class Watch:
    """Counts, again and again, the trainers of each node: the children of its raylet that Ray calls so."""

    def __init__(self, cluster: Cluster) -> None:
        self.raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
        self.most = Counter[int]()
        self.most_together = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.over.set()
        self.thread.join()

    def look(self) -> None:
        while not self.over.wait(POLL_S):
            now = [len(children(raylet)) for raylet in self.raylets]
            self.most |= Counter(dict(enumerate(now)))
            self.most_together = max(self.most_together, sum(now))


def test_trials_spread_over_the_gpus_and_pack_by_fraction(cluster: Cluster, tmp_path: Path) -> None:
    trials = small_trials(8, epochs=40)  # so long that the first ones still train when the last worker is up
    with Watch(cluster) as watch:
        ledger, _ = run(Queue(trials), tmp_path, Resources(cpus=0.5, gpus=0.5))
    assert [watch.most[node] for node in range(3)] == [0, 2, 2], "none without a GPU, two on each"
    assert watch.most_together == 4
    records = ledger.read(trials)
    assert [record.status for record in records.values()] == ["ok"] * 8


def test_storage_that_nodes_do_not_share_is_refused_before_the_first_trial(cluster: Cluster, tmp_path: Path) -> None:
    trials = small_trials(1)
    with pytest.raises(UserError, match=r"^node .*checkpoint storage memory://"):
        run(Queue(trials), tmp_path, Resources(checkpoints="memory://checkpoints"))


def test_a_second_press_leaves_nothing_running_on_a_cluster_that_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=2, epochs=2000, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
    assert any(children(raylet) for raylet in raylets)
    os.kill(driver.process.pid, signal.SIGTERM)
    assert driver.process.wait(timeout=60) == 130
    deadline = time.monotonic() + 30
    while any(children(raylet) for raylet in raylets) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(children(raylet) for raylet in raylets)


def test_a_node_that_is_lost_costs_no_finished_trial_and_the_grid_ends_complete(
    cluster: Cluster, tmp_path: Path
) -> None:
    trials = small_trials(6, epochs=8)
    lost = cluster.add_node(num_cpus=2, num_gpus=2)
    raylet = lost.all_processes["raylet"][0].process.pid
    finished: dict[Path, int] = {}

    def lose_the_node_once_trials_have_finished() -> None:
        while not children(raylet) or not list(tmp_path.glob(FINISHED)):
            if over.wait(POLL_S):
                return
        finished.update({path: path.stat().st_mtime_ns for path in tmp_path.glob(FINISHED)})
        cluster.remove_node(lost, allow_graceful=False)

    over = threading.Event()
    thread = threading.Thread(target=lose_the_node_once_trials_have_finished)
    thread.start()
    try:
        ledger, printed = run(
            Queue(trials), tmp_path, Resources(checkpoint_interval_s=0)
        )  # one GPU a trial, by default
    finally:
        over.set()
        thread.join()
    assert finished, printed
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    records = ledger.read(trials)
    assert [record.status for record in records.values()] == ["ok"] * 6
    assert [curves(records[key].epochs) for key in trials] == [uninterrupted(config) for config in trials.values()]
