"""Pages of a run that is still at work: made as trials finish, in processes that never slow the training down."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from grid.records.results_folder import ResultsFolder

START_S = 2.0
"""Seconds for the first trials to start, before this thread takes any time from them."""

INTERVAL_S = 60.0
"""Seconds between two times that pages are made."""

PR_SET_PDEATHSIG = 1
"""Source: linux/prctl.h."""

PATIENCE_S = 3.0
"""Seconds for pages that are being made to be given up, at the end of a run."""


class PagesSoFar:
    """Makes pages of a results folder whenever trials have finished, at most once a minute. Use as a context manager.

    Meanwhile it imports, once, what the report at the end needs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._finished = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._make_pages, name="pages so far", daemon=True)

    def __enter__(self) -> "PagesSoFar":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._finished.set()
        self._thread.join()

    def trial_ended(self) -> None:
        """Pages may be made anew."""
        self._finished.set()

    def _make_pages(self) -> None:
        if self._over.wait(START_S):
            return
        import grid.report.answers
        import grid.report.pipeline  # noqa: F401  # seconds that would come after the last trial

        while self._finished.wait() and not self._over.is_set():
            self._finished.clear()
            self._make_once()
            self._over.wait(INTERVAL_S)

    def _make_once(self) -> None:
        command = [sys.executable, "-m", "grid.runs.so_far", str(self._root)]
        nowhere = subprocess.DEVNULL
        # in a group of its own, so that Ctrl-C is for the run alone
        with subprocess.Popen(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        ) as process:
            yield_processor(process.pid)
            while process.poll() is None and not self._over.wait(0.2):
                pass
            if process.poll() is None:
                take_processor(process.pid)
                process.send_signal(signal.SIGINT)  # so that it leaves no file half-written
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
                process.kill()


def yield_processor(pid: int) -> None:
    """Has a process run only where nothing else wants to."""
    with contextlib.suppress(AttributeError, OSError):  # Linux has that
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def take_processor(pid: int) -> None:
    """Has it run like others again."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def end_with_parent() -> None:
    """Has this process end with the run that started it, whose pages would be older than those of a later run."""
    with contextlib.suppress(AttributeError, OSError):  # Linux has that
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    end_with_parent()
    from grid.report.pipeline import make_report

    make_report(ResultsFolder(Path(sys.argv[1])), so_far=True)
