"""How often the kernel has killed for want of memory: a trial that it killed can no longer say so itself.

The kernel counts its kills in the cgroup of the process that it kills, and for the whole machine. A trial reads its
count while it lives; once it has vanished, someone on its node reads the same count again.
"""

import re
import socket
from pathlib import Path

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cifar_models.config import Frozen

ANSWER_S = 60.0
"""Seconds for a node to start a worker and read a number."""

COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
"""The line in all of the files. Source: the kernel's admin-guide/cgroup-v2 and cgroup-v1/memory."""


class MemoryKills(Frozen):
    """A count of the kernel's kills for want of memory.

    Attributes:
        node: Ray's number of the node where it was read.
        host: Name of the machine, or container.
        counter: The file that it was read from; empty where the system has none.
        count: Processes killed so far.
    """

    node: str
    host: str
    counter: str
    count: int


def memory_kills_here() -> MemoryKills:
    """The count for this process, as one of Ray's workers."""
    counter, count = read_counter(Path("/"))
    return MemoryKills(
        node=ray.get_runtime_context().get_node_id(), host=socket.gethostname(), counter=counter, count=count
    )


def read_counter(root: Path) -> tuple[str, int]:
    """The narrowest count that this process can read, of its cgroup or of the machine, and the name of its file.

    Args:
        root: `/`, or a folder that stands for it.
    """
    candidates = [*_counters_of_cgroups(_text(root / "proc/self/cgroup")), "proc/vmstat"]
    for name in candidates:
        if found := COUNT.search(_text(root / name)):
            return str(root / name), int(found[1])
    return "", 0


def have_risen(before: MemoryKills) -> bool:
    """Whether the kernel has killed for want of memory since a trial read the count; Ray has to be connected.

    False where that can't be known: the node is gone, or its system has no such count.
    """
    if not before.counter:
        return False
    if before.node == ray.get_runtime_context().get_node_id():
        return _read_again(before.counter) > before.count
    there = NodeAffinitySchedulingStrategy(before.node, soft=False)
    ask = ray.remote(num_cpus=0, max_retries=0)(_read_again).options(scheduling_strategy=there)
    try:
        now: int = ray.get(ask.remote(before.counter), timeout=ANSWER_S)
    except (RayError, GetTimeoutError):
        return False
    return now > before.count


def _counters_of_cgroups(cgroups: str) -> list[str]:
    """Files that may hold the count of a process, from what its `/proc/self/cgroup` says.

    A container may see its own cgroup as the root of all, whatever its path is called outside.
    """
    found = []
    for line in cgroups.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers == "memory":
            root, name = "sys/fs/cgroup/memory", "memory.oom_control"
        elif not controllers:
            root, name = "sys/fs/cgroup", "memory.events"
        else:
            continue
        found += [f"{root}{path}/{name}", f"{root}/{name}"]
    return found


def _read_again(counter: str) -> int:
    found = COUNT.search(_text(Path(counter)))
    return int(found[1]) if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
