"""A Ray of this run's own, on this machine: with what its workers need, and without what it has no use for.

Ray's private names that a run changes are changed here alone, each for as long as it is needed.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import ray
from ray._private.node import Node as RayNode
from ray._private.parameter import RayParams
from ray.exceptions import OutOfMemoryError, RayActorError

from cifar_models.environment import WARM_WORKERS, WORKER_ENVIRONMENT

PATIENCE_S = 120.0
"""Seconds for workers to import what trials need; later ones are not waited for, and new ones do it themselves."""

SETTINGS: dict[str, Any] = {
    "preload_python_modules": ["grid.execution.warm"],
    "idle_worker_killing_time_threshold_ms": 300_000,
}
"""What Ray is told: the workers that it starts in advance import torch, and wait longer than a second for a trial."""


class _Warm:
    """Where workers leave a file when they are ready; None before a Ray was started here."""

    folder: "tempfile.TemporaryDirectory[str] | None" = None


@contextmanager
def started_here() -> Iterator[None]:
    """Has a Ray that is started inside start with what workers need in its environment, and without some processes.

    Those forward logs, add nodes and serve a dashboard; each is a process of Python that takes a second of a processor.
    Where a version of Ray has other names for them, they are started.
    """
    _Warm.folder = tempfile.TemporaryDirectory(prefix="cifar-grid-workers-")
    environment = WORKER_ENVIRONMENT | {WARM_WORKERS: _Warm.folder.name}
    before = {name: os.environ.get(name) for name in environment}
    parameters = RayParams.__init__

    def without_monitors(self: RayParams, **given: Any) -> None:
        parameters(self, **given)
        vars(self).update(include_log_monitor=False, no_monitor=True)

    def no_dashboard() -> ImportError:
        return ImportError("not wanted: its agent would wait seconds for a port that another Ray has")

    def no_server(self: RayNode, **_: Any) -> None:
        vars(self).update(_webui_url=None)

    os.environ.update(environment)
    try:
        with (
            patch.object(RayParams, "__init__", without_monitors),
            patch.object(RayNode, "start_api_server", no_server, create=True),
            patch.object(ray._private.utils, "get_dashboard_dependency_error", no_dashboard, create=True),
        ):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def is_own_cluster() -> bool:
    """Whether this process started the Ray that it is connected to."""
    node = ray._private.worker._global_node
    return node is not None and node.head


def wait_for_workers() -> None:
    """Waits until the workers that Ray started in advance, one a CPU, have imported what trials need.

    A trial that came earlier would not get one of them: Ray would start another.
    """
    if not is_own_cluster() or _Warm.folder is None:
        return
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    number, deadline = int(resources.get("CPU", 1)), time.monotonic() + PATIENCE_S
    while len(os.listdir(_Warm.folder.name)) < number and time.monotonic() < deadline:
        time.sleep(0.05)


def forget_workers() -> None:
    """Removes the folder where workers said that they were ready; their Ray has ended."""
    if _Warm.folder is not None:
        _Warm.folder.cleanup()
        _Warm.folder = None


@contextmanager
def tune_survives_memory_kills() -> Iterator[None]:
    """Has Tune take a worker that Ray's memory monitor killed for a lost one, whose trial is tried again.

    Where the monitor kills a worker in the midst of a trial, it says so by an error that Tune does not know, and ends
    the whole run for.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager as Actors  # with Tune, which takes a second

    failed = Actors._actor_task_failed

    def as_lost(self: Actors, tracked_actor_task: Any, exception: Exception) -> None:
        was_killed = isinstance(exception, OutOfMemoryError)
        failed(self, tracked_actor_task, RayActorError(error_msg=str(exception)) if was_killed else exception)

    with patch.object(Actors, "_actor_task_failed", as_lost):
        yield


@contextmanager
def tune_takes_ready_workers() -> Iterator[None]:
    """Has Tune use workers that have imported what trials need already.

    Tune asks for workers with an environment of their own, and Ray would start new ones for it. What Tune puts there is
    for libraries that are not used here, or in the environment of all workers already.
    """
    from ray.tune.execution.class_cache import _ActorClassCache as ActorClasses  # a second, and only trials need it

    def plain_actor(self: ActorClasses, trainable: type) -> Any:
        return self._cache.setdefault(trainable, ray.remote(trainable))

    if not is_own_cluster():
        yield
        return
    with patch.object(ActorClasses, "get", plain_actor):
        yield
