"""What the nodes of a Ray cluster say of themselves: for the manifest of a run, and for the doctor."""

import contextlib
import hashlib
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import ray
from fsspec.core import url_to_fs
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cifar_models.config import Frozen
from grid.execution.checkpoints import CheckpointStore, StorageError
from grid.execution.hardware import PROCESSORS
from grid.execution.own_ray import is_own_cluster
from grid.execution.ray_cluster import alive_nodes
from grid.records.manifest import Gpu, Node, package_versions

ANSWER_S = 120.0
"""Seconds after which a node that has not answered is taken for broken; a new worker imports torch first."""

SHARED_MEMORY = Path("/dev/shm")

MPS_PIPES = "/tmp/nvidia-mps"
"""Where MPS listens unless it is told otherwise. Source: NVIDIA's documentation of CUDA_MPS_PIPE_DIRECTORY."""


class NodeReport(Frozen):
    """A node as the doctor sees it.

    Attributes:
        node: Its hardware.
        ray_cpus: CPUs that Ray offers there.
        ray_gpus: GPUs that Ray offers there.
        torch_gpus: GPUs that torch finds there.
        versions: Versions of Python and of the packages, and as `code` a hash of this project's own.
        executable: The Python that its workers run.
        precision: The number format that its hardware computes in.
        temporary: Folder where Ray keeps its logs and what does not fit in memory.
        temporary_bytes: Free space there.
        shared_memory_bytes: Size of the shared memory; None where the system has no limit of its own for it.
        max_open_files: Most files that a process may have open; None if as many as it likes.
        has_mps: Whether NVIDIA's MPS runs, by which processes that share a GPU compute at the same time.
        storage_problem: Why checkpoints can't be kept from there; None if they can, or no storage was chosen.
    """

    node: Node
    ray_cpus: float
    ray_gpus: float
    torch_gpus: int
    versions: dict[str, str]
    executable: str
    precision: Literal["bf16", "fp32"]
    temporary: str
    temporary_bytes: int
    shared_memory_bytes: int | None
    max_open_files: int | None
    has_mps: bool = False
    storage_problem: str | None = None


def node_facts() -> list[Node]:
    """The hardware of every node that answers; Ray has to be connected."""
    if is_own_cluster():  # then nobody has to be asked
        return [describe_node(_name(node), node["Resources"]) for node in alive_nodes()]
    return [answer for answer in _ask(describe_node).values() if isinstance(answer, Node)]


def node_reports(store: CheckpointStore | None) -> dict[str, NodeReport | str]:
    """What every node says of itself, by its name, or why it said nothing; Ray has to be connected.

    Args:
        store: Where checkpoints are to be kept; None if that was not chosen.
    """
    with _probe(store) as probe:
        return _ask(examine_node, store, probe)


def describe_node(name: str, resources: dict[str, float]) -> Node:
    """The hardware of the machine that this runs on; no memory of a GPU is taken for it."""
    return Node(
        name=name,
        cpu=processor_name(),
        num_cpus=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        gpus=list_gpus(),
        system=platform.platform(),
        python=platform.python_version(),
    )


def processor_name() -> str:
    """The name of this machine's processor, as its system tells it."""
    with contextlib.suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", PROCESSORS.read_text(errors="replace"), re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


def examine_node(
    name: str, resources: dict[str, float], store: CheckpointStore | None, probe: str | None
) -> NodeReport:
    """Looks at the machine that this runs on, as one of Ray's workers.

    Args:
        name: What to call it.
        resources: What Ray offers there.
        store: Where checkpoints are to be kept, if that was chosen.
        probe: What the driver left there, if it could.
    """
    import torch

    from cifar_models.device import default_device, native_precision

    temporary = ray.get_runtime_context().get_temp_dir()
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return NodeReport(
        node=describe_node(name, resources),
        ray_cpus=resources.get("CPU", 0),
        ray_gpus=resources.get("GPU", 0),
        torch_gpus=torch.cuda.device_count(),
        versions=code_versions(),
        executable=sys.executable,
        precision=native_precision(default_device()),
        temporary=temporary,
        temporary_bytes=shutil.disk_usage(temporary).free,
        shared_memory_bytes=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
        max_open_files=None if open_files == resource.RLIM_INFINITY else open_files,
        has_mps=Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", MPS_PIPES), "control").exists(),
        storage_problem=None if store is None else storage_problem(store, probe),
    )


def code_versions() -> dict[str, str]:
    """Versions of what is installed here; as `code` a hash of this project itself, whose version rarely changes."""
    total = hashlib.sha256()
    for package in ("cifar_models", "grid"):
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*.py")):
            total.update(f"{package}/{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return package_versions() | {"code": total.hexdigest()[:12]}


def list_gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs of this machine, whether torch can use them or not."""
    query = ["nvidia-smi", "--query-gpu=driver_version,memory.total,name", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):  # there is no driver, or it hangs
        return ()
    found = [[field.strip() for field in line.split(",", 2)] for line in lines]
    return tuple(
        Gpu(driver=fields[0], memory_bytes=int(fields[1]) * 2**20 if fields[1].isdigit() else None, name=fields[2])
        for fields in found
        if len(fields) == 3  # else it says what is wrong
    )


def storage_problem(store: CheckpointStore, probe: str | None) -> str | None:
    """Why checkpoints can't be kept from here, or would not be found from elsewhere; None if they would.

    Args:
        store: Where they are to be kept.
        probe: Name of a file that the driver left there, if it could.
    """
    try:
        store.check()
    except StorageError as error:
        return str(error)
    files, root = url_to_fs(store.url)
    if probe and not files.exists(f"{root}/{probe}"):
        return f"checkpoint storage {store.url}: is not the one that the driver sees under this name"
    return None


def _name(node: dict[str, Any]) -> str:
    """What to call one of Ray's nodes."""
    return f"{node['NodeManagerHostname']} {node['NodeID'][:6]}"


def _ask(function: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    """Runs a function on every node; returns its results by the node's name, or a line that says what went wrong."""
    ask = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = {}
    for node in alive_nodes():
        name = _name(node)
        pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[name] = ask.options(scheduling_strategy=pinned).remote(name, node["Resources"], *arguments)
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    answers: dict[str, Any] = {}
    for name, answer in asked.items():
        try:
            answers[name] = ray.get(answer, timeout=0)
        except GetTimeoutError:
            answers[name] = f"no answer in {ANSWER_S:.0f} s"
        except RayError as error:
            answers[name] = next(line.strip() for line in reversed(str(error).splitlines()) if line.strip())
    return answers


@contextlib.contextmanager
def _probe(store: CheckpointStore | None) -> Iterator[str | None]:
    """Leaves a file in the storage, from here, for as long as it is looked for elsewhere; None if that failed."""
    if store is None:
        yield None
        return
    probe: str | None = f"seen-from-the-driver-{uuid.uuid4().hex}"
    files, root = url_to_fs(store.url)
    try:
        files.makedirs(root, exist_ok=True)
        files.pipe_file(f"{root}/{probe}", b"probe")
    except Exception:  # every file system has exceptions of its own; what is wrong the nodes will say
        probe = None
    try:
        yield probe
    finally:
        if probe:
            files.rm_file(f"{root}/{probe}")
