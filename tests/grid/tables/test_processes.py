"""Work in several processes: the same results, and none of them is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grid.records.holder import process_start
from grid.tables import processes
from grid.tables.processes import Processes


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "num_processors", lambda: 2)


def square_and_process(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def square_here_only(number: int) -> int:
    if number == 3 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def refuse(number: int) -> int:
    raise OSError(number, "no such number", "a file")


def test_results_come_in_order_from_other_processes() -> None:
    with Processes(2) as both:
        found = list(both.map(square_and_process, range(20), worth=2))
        again = list(both.map(square_and_process, range(2), worth=100))
    assert [square for square, _ in found] == [number**2 for number in range(20)]
    others = {process for _, process in found}
    assert os.getpid() not in others
    assert {process for _, process in again} <= others, "processes that are there are used again"


@pytest.mark.parametrize(("most", "worth"), [(1, 1), (2, 4)])
def test_what_is_not_worth_it_is_done_here(most: int, worth: int) -> None:
    with Processes(most) as one:
        assert list(one.map(square_and_process, range(3), worth)) == [(n**2, os.getpid()) for n in range(3)]


def test_what_a_killed_process_leaves_is_done_here() -> None:
    with Processes(2) as both:
        assert list(both.map(square_here_only, range(6), worth=2)) == [0, 1, 4, 9, 16, 25]
        assert list(both.map(square_and_process, range(2), worth=2)) == [(0, os.getpid()), (1, os.getpid())]


def test_what_one_refuses_is_refused_here() -> None:
    with Processes(2) as both, pytest.raises(OSError, match="no such number") as refused:
        list(both.map(refuse, [1, 2], worth=2))
    assert refused.value.filename == "a file"


WAITING = """
import os, time
from grid.tables import processes

def tell(path):
    with open(path + str(os.getpid()), "w"):
        pass
    time.sleep(600)

if __name__ == "__main__":
    processes.num_processors = lambda: 2
    with processes.Processes(2) as both:
        list(both.map(tell, [{path!r}, {path!r}], 2))
"""


def test_they_end_with_the_process_that_started_them_and_not_by_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING.format(path=str(tmp_path / "process-")))
    started = subprocess.Popen([sys.executable, str(script)])
    try:
        deadline = time.monotonic() + 60
        while len(found := list(tmp_path.glob("process-*"))) < 2:
            assert time.monotonic() < deadline and started.poll() is None
            time.sleep(0.05)
        pids = [int(path.name.removeprefix("process-")) for path in found]
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert all(map(process_start, pids))
    finally:
        started.kill()
        started.wait()
    while any(map(process_start, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
