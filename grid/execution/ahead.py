"""The Ray cluster of a run, which starts in a thread while the run still plans: Ray takes seconds to import and to start.

The thread lives as long as the cluster, since Linux ends Ray's processes with the thread that started them.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grid.records.manifest import Node


class ClusterAhead:
    """Connects to the cluster of a run in the background, and has its workers import what trials need.

    Use it as a context manager. Where this process is connected to a cluster already, nothing happens.
    """

    def __init__(self, tell_nodes: Callable[[Sequence["Node"]], None]) -> None:
        """Starts nothing yet.

        Args:
            tell_nodes: Is told, in the thread, which machines there are.
        """
        self._tell_nodes = tell_nodes
        self._ready: Future[None] = Future()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="Ray cluster", daemon=True)

    def __enter__(self) -> "ClusterAhead":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()
        self._thread.join()

    def wait(self) -> None:
        """Waits until trials can start.

        Raises:
            UserError: As from `ray_cluster`.
        """
        self._ready.result()

    def leave(self) -> None:
        """Has Ray end, in the background; the end of the context waits for it."""
        self._over.set()

    def _live(self) -> None:
        try:
            # Ray warns that it can't handle SIGTERM in a thread, where the run does so itself
            logging.getLogger("ray").setLevel(logging.ERROR)
            from grid.execution.nodes import warm_nodes
            from grid.execution.ray_cluster import ray_cluster

            with ray_cluster():
                self._tell_nodes(warm_nodes())
                self._ready.set_result(None)
                self._over.wait()
        except BaseException as error:  # the run is told, and ends in its own way
            if not self._ready.done():
                self._ready.set_exception(error)
