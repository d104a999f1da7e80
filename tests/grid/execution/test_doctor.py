"""The doctor on a real cluster with a node where this project is missing, and on what nodes could say of themselves."""

import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from grid.errors import UserError
from grid.execution import doctor
from grid.execution.checkpoints import CheckpointStore
from grid.execution.doctor import Check, check_data, check_node, check_results, check_versions, diagnose
from grid.execution.nodes import NodeReport, code_versions, list_gpus, node_facts, storage_problem
from grid.execution.ray_cluster import ray_cluster
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.manifest import Gpu, Node
from tests.grid.records.test_ledger import predictions, record

NOT_INSTALLED = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name == "grid":
            raise ModuleNotFoundError("No module named 'grid'")

sys.meta_path.insert(0, NotInstalled())
"""
L4 = Gpu(name="NVIDIA L4", driver="580.95.05", memory_bytes=24_000 * 2**20)
VERSIONS = {
    "python": "3.11.7", "code": "0123456789ab", "torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130",
    "numpy": "2.4.6", "ray": "2.60.0", "pydantic": "2.14.3", "safetensors": "0.8.0",
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a head with two logical GPUs, and of a node whose Python has not got this project."""
    customization = tmp_path_factory.mktemp("customization")
    (customization / "sitecustomize.py").write_text(NOT_INSTALLED)
    with tempfile.TemporaryDirectory(
        prefix="ray-", ignore_cleanup_errors=True
    ) as folder:  # not the one where other programs look for a cluster
        head = {"num_cpus": 1, "num_gpus": 2, "include_dashboard": False, "temp_dir": folder}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(customization)})
            yield nodes.address
        finally:
            nodes.shutdown()


def report(**changes: object) -> NodeReport:
    """What a node without any fault would say."""
    node = Node(
        name="gpu-1 1a2b3c", cpu="Some CPU", num_cpus=8, memory_bytes=2**35, gpus=(L4,), system="Linux", python="3.11.7"
    )
    fields = {
        "node": node, "ray_cpus": 8, "ray_gpus": 1, "torch_gpus": 1, "versions": VERSIONS, "executable": "/bin/python",
        "precision": "bf16", "temporary": "/tmp/ray", "temporary_bytes": 10**11, "shared_memory_bytes": 10**10,
        "max_open_files": 65536,
    }  # fmt: skip
    return NodeReport.model_validate(fields | changes)


def by_name(checks: list[Check]) -> dict[str, Check]:
    """The checks, each of which is there once."""
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_is_looked_at_and_each_fault_has_its_mend(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    ledger, storage = Ledger(Folder(tmp_path / "results").below("ledger")), tmp_path / "storage"
    checks = diagnose(ledger, lambda: "1,797 images", str(storage))
    nodes = {check.node for check in checks} - {"driver"}
    (broken,) = {check.node for check in checks if check.name == "project"}
    (head,) = nodes - {broken}
    of_driver = by_name([check for check in checks if check.node == "driver"])
    of_head = by_name([check for check in checks if check.node == head])
    (missing,) = [check for check in checks if check.node == broken]

    assert (of_driver["data"].ok, of_driver["data"].seen) == (True, "1,797 images")
    assert of_driver["results"].ok is not False and not (tmp_path / "results").exists()
    assert (of_head["versions"].ok, of_head["checkpoints"].ok) == (True, True)
    assert f"ray {VERSIONS['ray']}" in of_head["versions"].seen
    assert of_head["devices"].ok is None and "Ray offers 1 CPUs, 2 GPUs, but torch sees 0" in of_head["devices"].seen
    assert {"bf16", "temporary files", "shared memory", "open files"} < of_head.keys()
    assert (missing.ok, missing.seen) == (False, "ModuleNotFoundError: No module named 'grid'")
    assert missing.mend is not None and "pip install --no-deps -e ." in missing.mend and broken in missing.mend
    assert all(check.mend for check in checks if not check.ok)
    assert list(storage.iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_storage_that_nodes_do_not_share_is_found(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process has a memory of its own, and a folder of that name may be on every node."""
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    checks = diagnose(Ledger(Folder(tmp_path)), lambda: "", "memory://checkpoints")
    (found,) = [check for check in checks if check.name == "checkpoints"]
    assert found.ok is False and "is not the one that the driver sees" in found.seen
    assert found.mend is not None and "all nodes share" in found.mend


@pytest.mark.ray
@pytest.mark.slow
def test_the_facts_of_the_nodes_that_answer_are_those_of_the_machine(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    with ray_cluster():
        (node,) = node_facts()
    assert (node.num_cpus, node.python, node.system) == (os.cpu_count(), platform.python_version(), platform.platform())
    assert node.name.startswith(f"{platform.node()} ") and node.memory_bytes > 10**8


def test_storage_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem = storage_problem(CheckpointStore(str(tmp_path / "file")), None)
    assert problem is not None and f"{tmp_path / 'file'}: can't be written" in problem
    assert storage_problem(CheckpointStore(str(tmp_path / "folder")), None) is None


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:6379"])
def test_what_keeps_the_driver_from_asking_is_one_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    found = by_name(diagnose(Ledger(Folder(tmp_path)), lambda: "", "no-such-protocol://folder"))
    assert found["checkpoints"].ok is False and "no-such-protocol://folder" in found["checkpoints"].seen
    assert found["ray"].ok is False and f"no cluster at RAY_ADDRESS={address} (" in found["ray"].seen
    assert found["ray"].mend is not None and "unset RAY_ADDRESS" in found["ray"].mend


def test_data_that_cannot_be_read_is_said_as_a_run_would_say_it() -> None:
    def load() -> str:
        raise UserError("data: found no CIFAR-10")

    found = check_data(load)
    assert (found.ok, found.seen) == (False, "data: found no CIFAR-10")
    assert found.mend is not None and "--data-dir" in found.mend


def test_results_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    found = check_results(Ledger(Folder(tmp_path / "results").below("ledger")))
    assert found.ok is False and f"{tmp_path / 'results'}: can't be written" in found.seen
    ledger = Ledger(Folder(tmp_path / "other").below("ledger"))
    ledger.commit(record(), predictions())
    (ledger.files.path / "ff").write_text("a file where trials belong")
    found = check_results(ledger)
    assert found.ok is False and "ledger/ff)" in found.seen and found.mend is not None and "--results" in found.mend


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_results(Ledger(Folder(tmp_path).below("ledger"))).name == "results"
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 10**18)
    found = check_results(Ledger(Folder(tmp_path).below("ledger")))
    assert found.ok is None and found.seen.endswith("GB free") and found.mend == "--results FOLDER"


def test_a_node_without_a_fault_has_nothing_to_mend() -> None:
    assert [(check.ok, check.mend) for check in check_node(report(), VERSIONS)] == [(True, None)] * 7


def test_a_node_with_a_gpu_is_told_whether_trials_that_share_it_take_turns() -> None:
    assert by_name(check_node(report(has_mps=True), VERSIONS))["MPS"].seen == "runs"
    found = by_name(check_node(report(), VERSIONS))["MPS"]
    assert found.ok and "take turns" in found.seen and "nvidia-cuda-mps-control -d" in found.seen
    assert "MPS" not in by_name(check_node(report(**HEAD_ONLY), VERSIONS))


def test_a_build_for_cuda_is_the_same_version_as_one_without() -> None:
    assert check_versions(report(), VERSIONS | {"torch": "2.14.1", "torchvision": "0.29.1"}).ok


@pytest.mark.parametrize(
    ("there", "ok", "seen", "mend"),
    [
        ({"torch": "2.13.0+cu130"}, False, "torch 2.13.0, but 2.14.1 on", "/bin/python -m pip install torch==2.14.1"),
        (
            {"code": "ffffffffffff"},
            False,
            "code ffffffffffff, but 0123456789ab",
            "copy this source tree, and in the",
        ),
        ({"python": "3.12.1"}, False, "python 3.12.1, but 3.11.7", "install Python 3.11.7"),
        ({"python": "3.11.9"}, None, "python 3.11.9, but 3.11.7", "install Python 3.11.7"),
        ({"ray": "2.5.0", "numpy": "2.5.0"}, False, "; ray 2.5.0, but 2.60.0", "install numpy==2.4.6 ray==2.60.0"),
        ({"python": "3.11.9", "ray": "2.5.0"}, False, "; ray 2.5.0, but 2.60.0", "Python 3.11.7; /bin/python -m pip"),
    ],
)
def test_versions_that_differ_from_the_drivers_are_named_with_the_command_that_evens_them(
    there: dict[str, str], ok: bool | None, seen: str, mend: str
) -> None:
    found = check_versions(report(versions=VERSIONS | there), VERSIONS)
    assert found.ok is ok and seen in found.seen
    assert found.mend is not None and found.mend.startswith("on gpu-1 1a2b3c: ") and mend in found.mend


def test_a_package_that_a_node_has_not_got_is_missing() -> None:
    versions = {name: version for name, version in VERSIONS.items() if name != "safetensors"}
    assert "safetensors missing, but 0.8.0" in check_versions(report(versions=versions), VERSIONS).seen


@pytest.mark.parametrize(
    ("changes", "name", "ok", "seen", "mend"),
    [
        ({"torch_gpus": 0}, "devices", False, "torch can use 0 of them", "nvidia-smi"),
        ({"ray_gpus": 0}, "devices", None, "0 GPUs, but torch sees 1", "--num-gpus=1"),
        ({"precision": "fp32"}, "bf16", None, "not in hardware", "--precision fp32"),
        ({"temporary_bytes": 10**9}, "temporary files", None, "/tmp/ray: 1.0 GB free", "--temp-dir"),
        ({"shared_memory_bytes": 64 * 2**20}, "shared memory", None, "0.1 GB", "--shm-size"),
        ({"max_open_files": 1024}, "open files", None, "at most 1024", "ulimit -n 65536"),
    ],
)
def test_what_makes_trials_fail_or_crawl_is_found(
    changes: dict[str, object], name: str, ok: bool | None, seen: str, mend: str
) -> None:
    found = by_name(check_node(report(**changes), VERSIONS))
    assert [check.name for check in found.values() if not check.ok] == [name]
    assert found[name].ok is ok and seen in found[name].seen
    assert mend in (found[name].mend or "")


HEAD_ONLY = {
    "precision": "fp32", "ray_cpus": 0, "ray_gpus": 0, "torch_gpus": 0,
    "node": report().node.model_copy(update={"gpus": ()}),
}  # fmt: skip


@pytest.mark.parametrize("changes", [HEAD_ONLY, {"shared_memory_bytes": None}, {"max_open_files": None}])
def test_what_does_not_matter_is_no_fault(changes: dict[str, object]) -> None:
    assert all(check.ok for check in check_node(report(**changes), VERSIONS))


def test_the_code_of_this_project_is_told_apart_by_its_bytes() -> None:
    here = code_versions()
    assert len(here["code"]) == 12 and here == code_versions() and VERSIONS.keys() <= here.keys()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("580.95.05, 24000, NVIDIA L4\n580.95.05, [N/A], NVIDIA GH200, 480GB\n", [L4, "NVIDIA GH200, 480GB"]),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", []),
    ],
)
def test_gpus_are_read_from_their_drivers_own_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, expected: list[Gpu | str]
) -> None:
    (tmp_path / "says").write_text(says)
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat {tmp_path / 'says'}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = list_gpus()
    assert [gpu if gpu.memory_bytes else gpu.name for gpu in found] == expected


def test_a_machine_without_that_tool_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus() == ()
