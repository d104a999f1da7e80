"""Looks, on every node, for what would make a run fail or crawl, and says how to mend it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from grid.errors import UserError
from grid.execution.checkpoints import CheckpointStore, StorageError
from grid.execution.nodes import NodeReport, code_versions, node_reports
from grid.execution.ray_cluster import ray_cluster, storage_note
from grid.records.ledger import Ledger

DRIVER = "driver"
"""Where a check is made that only matters to the node that starts a run."""

LOW_DISK_BYTES = 5 * 10**9

LOW_SHARED_MEMORY_BYTES = 10**9
"""Ray keeps the images there, a few hundred megabytes of them; Docker gives 64 unless it is told otherwise."""

LOW_OPEN_FILES = 8192
"""Source: what Ray recommends when it warns (ray/_private/worker.py)."""

SAME_EVERYWHERE = ("python", "code", "torch", "torchvision", "numpy", "ray", "pydantic", "safetensors")
"""What decides numbers, or how nodes understand each other."""


class Check(NamedTuple):
    """What was looked at, and what came of it.

    Attributes:
        name: What was looked at.
        node: Where.
        ok: Whether it is as it should be; None if a run would work, but not well.
        seen: What was seen.
        mend: The command or option that mends it; None if there is nothing to mend.
    """

    name: str
    node: str
    ok: bool | None
    seen: str
    mend: str | None = None


def diagnose(ledger: Ledger, load_data: Callable[[], str], checkpoints: str | None) -> list[Check]:
    """Makes every check, on the cluster that a run would use, or on this machine alone.

    Args:
        ledger: Where a run would commit its trials; it may not be there yet, and is not made.
        load_data: Reads the data set and says what it read.
        checkpoints: Path or URL where a run would keep checkpoints; None if that was not chosen.
    """
    checks = [check_data(load_data), check_results(ledger)]
    store = None
    try:
        store = CheckpointStore(checkpoints) if checkpoints else None
    except StorageError as error:
        checks.append(_storage(DRIVER, checkpoints, str(error)))
    with ExitStack() as stack:
        try:
            stack.enter_context(ray_cluster())
        except UserError as error:
            mend = "ray start --head; or unset RAY_ADDRESS, to use this machine alone"
            return [*checks, Check("ray", DRIVER, False, str(error), mend)]
        reports = node_reports(store)
    if note := storage_note(checkpoints, len(reports)):
        checks.append(Check("checkpoints", DRIVER, None, note, "--checkpoints s3://BUCKET/FOLDER"))
    here = code_versions()
    for node, report in reports.items():
        if isinstance(report, str):
            mend = f"on {node}, in a copy of this source tree: {_install('python')}"
            checks.append(Check("project", node, False, report, mend))
            continue
        checks += check_node(report, here)
        if store is not None:
            checks.append(_storage(node, checkpoints, report.storage_problem))
    return checks


def check_data(load_data: Callable[[], str]) -> Check:
    """Whether the driver can read the data set; the nodes get it from there."""
    try:
        return Check("data", DRIVER, True, load_data())
    except UserError as error:
        mend = "give another folder with --data-dir FOLDER, or another data set with --dataset digits"
        return Check("data", DRIVER, False, str(error), mend)


def check_results(ledger: Ledger) -> Check:
    """Whether the driver can write the results folder, or make it, and whether there is space."""
    folder = ledger.files.path.absolute()
    while not os.path.exists(folder):
        folder = folder.parent
    try:
        if folder == ledger.files.path.absolute():
            ledger.prepare()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (UserError, OSError) as error:
        seen = str(error) if isinstance(error, UserError) else f"{folder}: can't be written ({error.strerror})"
        return Check("results", DRIVER, False, seen, f"sudo chown -R $USER {folder}; or --results FOLDER")
    return _free_space("results", DRIVER, str(folder), shutil.disk_usage(folder).free, "--results FOLDER")


def check_node(report: NodeReport, here: Mapping[str, str]) -> list[Check]:
    """Everything about a node but its storage.

    Args:
        report: What it said of itself.
        here: Versions of the driver.
    """
    name, size, limit = report.node.name, report.shared_memory_bytes, report.max_open_files
    trains_in_fp32 = report.precision != "bf16" and bool(report.ray_cpus or report.ray_gpus)
    precision = "in hardware" if report.precision == "bf16" else "trains nothing"
    restart = f"on {name}: ray stop && ray start --temp-dir=FOLDER …"
    return [
        check_versions(report, here),
        check_devices(report),
        *([check_mps(report)] if report.node.gpus else []),
        _warning(
            "bf16",
            name,
            trains_in_fp32,
            "not in hardware: emulated, it is many times slower than fp32" if trains_in_fp32 else precision,
            "--precision fp32",
        ),
        _free_space("temporary files", name, report.temporary, report.temporary_bytes, restart),
        _warning(
            "shared memory",
            name,
            size is not None and size < LOW_SHARED_MEMORY_BYTES,
            "no limit of its own" if size is None else f"{size / 1e9:.1f} GB",
            "docker run --shm-size=4g …; on Kubernetes an emptyDir of medium Memory at /dev/shm",
        ),
        _warning(
            "open files",
            name,
            limit is not None and limit < LOW_OPEN_FILES,
            "no limit" if limit is None else f"at most {limit}",
            f"on {name}: ray stop && ulimit -n 65536 && ray start …",
        ),
    ]


def check_versions(report: NodeReport, here: Mapping[str, str]) -> Check:
    """Whether a node runs the driver's code on the driver's packages; that it runs at all is known by then."""
    # a build for CUDA and one without it differ in what follows the plus
    there = {name: report.versions.get(name, "missing").partition("+")[0] for name in SAME_EVERYWHERE}
    wanted = {name: here[name].partition("+")[0] for name in SAME_EVERYWHERE}
    different = [name for name in SAME_EVERYWHERE if there[name] != wanted[name]]
    if not different:
        seen = ", ".join(f"{name} {there[name]}" for name in SAME_EVERYWHERE)
        return Check("versions", report.node.name, True, seen)
    seen = "; ".join(f"{name} {there[name]}, but {wanted[name]} on the driver" for name in different)
    steps = {
        "python": f"install Python {wanted['python']}",
        "code": f"copy this source tree, and in the copy {_install(report.executable)}",
    }
    packages = [f"{name}=={wanted[name]}" for name in different if name not in steps]
    mends = [step for name, step in steps.items() if name in different]
    if packages:
        mends.append(f"{report.executable} -m pip install {' '.join(packages)}")
    minor = [versions["python"].rpartition(".")[0] for versions in (there, wanted)]
    ok = None if different == ["python"] and minor[0] == minor[1] else False
    return Check("versions", report.node.name, ok, seen, f"on {report.node.name}: {'; '.join(mends)}")


def check_devices(report: NodeReport) -> Check:
    """Whether Ray and torch see the same GPUs as the driver of the GPUs."""
    node, num_gpus = report.node, len(report.node.gpus)
    names = ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in node.gpus) or "no GPU"
    seen = f"{node.cpu}, {node.num_cpus} cores; {names}; Ray offers {report.ray_cpus:g} CPUs, {report.ray_gpus:g} GPUs"
    if report.torch_gpus < num_gpus:
        mend = f"on {node.name}: nvidia-smi; then a driver for the CUDA version of torch, or torch for the driver's"
        return Check("devices", node.name, False, f"{seen}; torch can use {report.torch_gpus} of them", mend)
    if report.ray_gpus != report.torch_gpus:
        mend = f"on {node.name}: ray stop && ray start --num-gpus={report.torch_gpus} …"
        return Check("devices", node.name, None, f"{seen}, but torch sees {report.torch_gpus}", mend)
    return Check("devices", node.name, True, seen)


def check_mps(report: NodeReport) -> Check:
    """Whether trials that share a GPU compute on it at the same time; it is well without, too, if none is shared."""
    start = "not running: trials that share a GPU take turns on it; to change that, nvidia-cuda-mps-control -d"
    return Check("MPS", report.node.name, True, "runs" if report.has_mps else start)


def _warning(name: str, node: str, is_low: bool, seen: str, mend: str) -> Check:
    """A check that at worst makes a run slow."""
    return Check(name, node, None if is_low else True, seen, mend if is_low else None)


def _storage(node: str, checkpoints: str | None, problem: str | None) -> Check:
    mend = "--checkpoints with a folder that all nodes share, or s3://BUCKET/FOLDER" if problem else None
    return Check("checkpoints", node, problem is None, problem or f"{checkpoints}: written and read back", mend)


def _free_space(name: str, node: str, folder: str, free_bytes: int, mend: str) -> Check:
    return _warning(name, node, free_bytes < LOW_DISK_BYTES, f"{folder}: {free_bytes / 1e9:.1f} GB free", mend)


def _install(python: str) -> str:
    return f"{python} -m pip install -r requirements.lock && {python} -m pip install --no-deps -e ."
