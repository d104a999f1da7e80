"""The Ray cluster of a run, which starts in a thread while the run still plans, since Ray takes seconds for it.

The thread lives as long as the cluster: Linux ends Ray's processes with the thread that started them.
"""

import logging
import threading
from concurrent.futures import Future

from grid.records.manifest import Node


class ClusterAhead:
    """Connects to the cluster of a run in the background, or starts one.

    Use it as a context manager. Where this process is connected to a cluster already, that one is used.
    """

    def __init__(self) -> None:
        self._connected: Future[None] = Future()
        self._nodes: Future[list[Node]] = Future()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="Ray cluster", daemon=True)

    def __enter__(self) -> "ClusterAhead":
        # here, and what needs Ray Tune later: two threads that import the same packages may find them half-made
        import grid.execution.nodes
        import grid.execution.ray_cluster  # noqa: F401

        logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that it can't handle SIGTERM in a thread
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()  # meanwhile nothing here may touch Ray, not even an object that refers to something in it

    def wait(self) -> list[Node]:
        """Waits until trials can start; returns the machines that they may run on.

        Raises:
            UserError: As from `ray_cluster`.
        """
        self._connected.result()
        import grid.execution.launch  # noqa: F401  # a second, in which the workers import torch

        return self._nodes.result()

    def _live(self) -> None:
        from grid.execution import nodes, ray_cluster

        told: Future[None] | Future[list[Node]] = self._connected
        try:
            with ray_cluster.ray_cluster():
                self._connected.set_result(None)
                told = self._nodes
                self._nodes.set_result(nodes.node_facts())
                self._over.wait()
        except BaseException as error:  # the run is told when it waits, and ends in its own way
            if not told.done():
                told.set_exception(error)
