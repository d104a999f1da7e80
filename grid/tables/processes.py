"""Processes that share the work of a report, where there is much of it; what they make is the same as without them."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

MOST = 4
"""Each holds some hundred megabytes, however many processors there are."""


def num_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """Carries out jobs, in processes that are started when the first jobs come that are worth it. A context manager.

    They are spawned, since a fork would copy the locks of threads that are at work here, such as Ray's. Each ends with
    this process, however that ends.
    """

    def __init__(self, most: int = 1) -> None:
        """Allows so many processes, but none beyond `MOST` and the processors; with 1, all is done in this one."""
        self._num = min(most, MOST, num_processors())
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, carry_out: Callable[[Job], Result], jobs: Sequence[Job], worth: int) -> Iterator[Result]:
        """The result of each job, in their order.

        Args:
            carry_out: A function of a module; what it returns does not hang on which process calls it.
            jobs: What it is called with.
            worth: Number of jobs from which processes are started; those that are there are used for any two.
        """
        if self._num < 2 or len(jobs) < (2 if self._pool else worth):
            yield from map(carry_out, jobs)
            return
        num_done = 0
        try:
            for result in self._started().map(carry_out, jobs):
                yield result
                num_done += 1
        except BrokenProcessPool:  # one was killed, as where memory is short: the rest is done here
            self._num, self._pool = 1, None
            yield from map(carry_out, jobs[num_done:])

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._num, context, initializer=_prepare)
            with _no_interrupt():
                self._pool.submit(os.getpid)  # starts them all
        return self._pool


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Holds Ctrl-C back, and for ever from processes that are started inside: they end with this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    """Has this process end with the one that started it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
