"""A trial that the kernel killed for want of memory, told from one that was lost in another way."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from grid.execution import lost_trials, memory_kills
from grid.execution.lost_trials import explain_loss
from grid.execution.memory_kills import COUNT, MemoryKills, read_counter
from grid.execution.ray_cluster import ray_cluster
from grid.records.files import Folder
from grid.records.fingerprint import fingerprint
from grid.records.ledger import Ledger
from tests.grid.execution.small_runs import DATASET, small_config
from tests.grid.test_cli import ROOT

LOST = """The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tactor_id: 6f8b1b4a4ea48a1b52c0b3b201000000
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed \
by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed unexpectedly \
due to SIGSEGV or another unexpected error."""
"""What Ray 2.60 says of every worker that vanished, whatever the reason."""

MONITOR = """Task was killed due to the node running low on memory.
Memory on the node (IP: 10.0.0.2, ID: 6f8b) where the lease was running was 7.70GB / 8.00GB (0.96), which exceeds"""

RAISED = 'ray::ImplicitFunc.train() (pid=1)\n  File "trial.py", line 1\nTypeError: missing argument'

GIB = 2**30
LIMIT_BYTES = 5 * GIB // 2
TOO_WIDE = 3000
"""Filters of a network whose weights, gradients and moments need several times the limit."""

RUN = """
import sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text("0")
from grid.execution.resources import Resources
from grid.execution.schedule import Queue
from tests.grid.execution.small_runs import DATASET, fingerprint, run, small_config
config = small_config(filters=int(sys.argv[3]))
run(Queue({fingerprint(config, DATASET.fingerprint): config}), Path(sys.argv[2]), Resources())
"""


def kills(count: int, counter: str = "/proc/vmstat") -> MemoryKills:
    return MemoryKills(node="6f8b", host="gpu-1", counter=counter, count=count)


@pytest.mark.parametrize(
    ("error", "risen", "status", "reason"),
    [
        (LOST, True, "out_of_memory", "the kernel killed it because memory ran out on gpu-1 (tried 3 times): give it"),
        (LOST, False, "error", "The actor died unexpectedly before finishing this task. (tried 3 times)"),
        (MONITOR, False, "out_of_memory", "Task was killed due to the node running low on memory. (tried 3 times)"),
        (RAISED, True, "error", "TypeError: missing argument (tried 3 times)"),
    ],
)
def test_how_a_trial_was_lost_is_told_from_what_ray_says_and_the_kernel_counts(
    monkeypatch: pytest.MonkeyPatch, error: str, risen: bool, status: str, reason: str
) -> None:
    monkeypatch.setattr(lost_trials, "have_risen", lambda before: risen)
    found, line = explain_loss(error, kills(3))
    assert found == status and line.startswith(reason) and "\n" not in line


def test_a_trial_that_was_lost_before_it_could_read_a_count_is_an_error() -> None:
    assert explain_loss(LOST, None)[0] == "error"


V2 = "0::/user.slice/job"
V1 = "9:name=systemd:/\n4:memory:/docker/abc\n0::/"
EVENTS = "low 0\nhigh 4\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"
VMSTAT = "nr_free_pages 12\noom_kill 9\npgfault 3\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/user.slice/job/memory.events": EVENTS}, 2),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/memory.events": EVENTS}, 2),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/memory/docker/abc/memory.oom_control": CONTROL}, 5),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/memory/memory.oom_control": CONTROL}, 5),
        ({"proc/self/cgroup": V2}, 9),
        ({"proc/self/cgroup": "not what it should be\n\n::"}, 9),
        ({}, 9),
    ],
    ids=["v2", "v2 in a container", "v1", "v1 in a container", "root", "nonsense", "none"],
)
def test_the_narrowest_count_is_read(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, content in (files | {"proc/vmstat": VMSTAT}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert read_counter(tmp_path)[1] == expected


def test_where_the_system_counts_nothing_nothing_has_risen(tmp_path: Path) -> None:
    assert read_counter(tmp_path) == ("", 0)
    assert not memory_kills.have_risen(kills(0, counter=""))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(not COUNT.search(memory_kills._text(Path("/proc/vmstat"))), reason="the kernel counts no kills")
def test_the_count_is_read_again_on_the_node_of_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        there = cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        with ray_cluster():
            here = ray.get_runtime_context().get_node_id()
            for node in (here, there.node_id):
                before = kills(-1).model_copy(update={"node": node})
                assert memory_kills.have_risen(before)
                assert not memory_kills.have_risen(before.model_copy(update={"count": 10**9}))
            assert not memory_kills.have_risen(kills(-1).model_copy(update={"node": "0" * len(here)})), "it is gone"
    finally:
        cluster.shutdown()


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A cgroup with little memory, of whichever version this system has."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        folder = Path(root, f"cifar-grid-test-{uuid.uuid4().hex[:8]}")
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(LIMIT_BYTES))
        except OSError:
            folder.rmdir()
            continue
        try:
            yield folder
        finally:
            folder.rmdir()
        return
    pytest.skip("no cgroup with a limit of memory can be made here")


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_needs_more_memory_than_its_cgroup_has_is_out_of_memory(
    small_cgroup: Path, tmp_path: Path
) -> None:
    arguments = [sys.executable, "-c", RUN, str(small_cgroup), str(tmp_path), str(TOO_WIDE)]
    # without Ray's own monitor, which may be the first to see it
    environment = os.environ | {"RAY_memory_monitor_refresh_ms": "0"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    key = fingerprint(small_config(filters=TOO_WIDE), DATASET.fingerprint)
    record = Ledger(Folder(tmp_path).below("ledger")).read([key])[key]
    assert record.status == "out_of_memory", record
    assert record.reason is not None and "the kernel killed it because memory ran out on" in record.reason
