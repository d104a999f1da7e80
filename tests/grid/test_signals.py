"""A run that is told to end at once: its lock is freed, its manifest says how it ended, and nothing of Ray is left."""

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grid.records.lock import LOCK, held_lock
from tests.grid.test_cli import ROOT

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds Ray's processes in /proc"),
]

QUESTION = """title: Which rate?
about: Two trials that take longer than any test waits.
base: {optimizer.name: sgd}
cells:
  - product: {optimizer.lr: [0.01, 0.02]}
profiles:
  quick: {seeds: 1, set: {epochs: 5000, data.train_size: 160, data.test_size: 60, model.filters: [4]}}
"""


class TerminalRun:
    """A run in a terminal of its own, whose Ray has a folder of its own.

    Attributes:
        process: The driver; it leads its session, and its process group is the terminal's foreground.
        results: Its results folder.
        ray: Where Ray's processes have their files, by which they are found.
    """

    def __init__(self, folder: Path, ray: Path) -> None:
        self.results, self.ray, self.log = folder / "results", ray, folder / "log"
        question = folder / "rates.yaml"
        question.write_text(QUESTION)
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "grid" / "run.py"), "run", str(question), "--results", str(self.results)],
            env=os.environ | {"RAY_TMPDIR": str(ray), "PYTHONUNBUFFERED": "1"},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(end)
        os.set_blocking(self.terminal, False)
        self.said = b""

    def close_terminal(self) -> None:
        os.close(self.terminal)
        self.terminal = -1

    def listen(self) -> str:
        """Everything that was printed so far; a terminal that nobody reads would hold the run up."""
        while self.terminal >= 0:
            try:
                part = os.read(self.terminal, 2**16)
            except OSError:  # nothing at the moment, or the other end is closed
                break
            self.said += part
        return self.said.decode(errors="replace")

    def wait_until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 400
        while not happened():
            assert self.process.poll() is None and time.monotonic() < deadline, self.listen()
            self.listen()
            time.sleep(0.1)

    def wait(self) -> int:
        deadline = time.monotonic() + 90
        while self.process.poll() is None and time.monotonic() < deadline:
            self.listen()
            time.sleep(0.02)
        assert self.process.returncode is not None, self.listen()
        return self.process.returncode

    def ray_processes(self) -> dict[int, str]:
        """Processes other than the driver that were started with, or have open, something in Ray's folder."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    int(folder.name) == self.process.pid
                    or (folder / "stat").read_text().rsplit(")")[1].split()[0] == "Z"
                ):
                    continue
                opened = [os.readlink(link) for link in (folder / "fd").iterdir()]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it ended, or is somebody else's
                continue
            if any(str(self.ray) in text for text in (command, *opened)):
                found[int(folder.name)] = command
        return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[TerminalRun]:
    ray = Path(tempfile.mkdtemp(prefix="r-"))  # a short name: Ray's sockets are below it
    run = TerminalRun(tmp_path, ray)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        if run.terminal >= 0:
            run.close_terminal()
        shutil.rmtree(ray, ignore_errors=True)


def close_terminal(run: TerminalRun) -> None:
    run.close_terminal()


def hang_up_job(run: TerminalRun) -> None:
    """As an interactive shell does when its terminal closes: to all processes of the job, Ray's too, and twice."""
    for _ in range(2):
        os.killpg(run.process.pid, signal.SIGHUP)


def terminate(run: TerminalRun) -> None:
    run.process.send_signal(signal.SIGTERM)


def assert_it_ended_well(run: TerminalRun, *, manifest: bool) -> None:
    assert run.wait() == 130, run.listen()
    assert "Traceback" not in run.listen()
    assert not (run.results / LOCK).exists()
    outcomes = [json.loads(path.read_text())["outcome"] for path in run.results.glob("runs/*.json")]
    assert outcomes == ["interrupted"] * len(outcomes) and (outcomes or not manifest)
    deadline = time.monotonic() + 30
    while run.ray_processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert run.ray_processes() == {}


@pytest.mark.parametrize("stop", [close_terminal, hang_up_job, terminate])
def test_a_run_at_work_that_is_told_to_end(run: TerminalRun, stop: Callable[[TerminalRun], None]) -> None:
    run.wait_until(lambda: " 1 running" in run.listen() or " 2 running" in run.listen())
    assert run.ray_processes()
    stop(run)
    assert_it_ended_well(run, manifest=True)


@pytest.mark.parametrize("stop", [hang_up_job, terminate])
@pytest.mark.parametrize("moment", ["lock", "manifest", "ray", "ray later"])
def test_a_run_that_is_told_to_end_while_it_starts(
    run: TerminalRun, stop: Callable[[TerminalRun], None], moment: str
) -> None:
    happened: dict[str, Callable[[], object]] = {
        "lock": (run.results / LOCK).exists,
        "manifest": lambda: list(run.results.glob("runs/*.json")),
        "ray": run.ray_processes,
        "ray later": lambda: any("raylet" in command for command in run.ray_processes().values()),
    }
    run.wait_until(happened[moment])
    stop(run)
    assert_it_ended_well(run, manifest=moment == "manifest")  # Ray starts while the run plans, and writes nothing yet


def test_a_run_that_wakes_to_find_its_folder_taken_over(run: TerminalRun) -> None:
    run.wait_until(lambda: " 1 running" in run.listen() or " 2 running" in run.listen())
    run.process.send_signal(signal.SIGSTOP)
    said: list[str] = []
    with held_lock(run.results, "second", take_over=True, say=said.append):
        run.process.send_signal(signal.SIGCONT)
        assert run.wait() == 1, run.listen()
        lock = json.loads((run.results / LOCK).read_text())
        assert lock["pid"] == os.getpid(), "its end freed nothing that is not its own"
    assert f"whether process {run.process.pid} on " in said[0] and "took over" in said[1]
    (line,) = [line for line in run.listen().splitlines() if "cifar-grid: " in line]
    assert f"taken over by process {os.getpid()} on " in line
    assert "Traceback" not in run.listen()
    assert [json.loads(path.read_text())["outcome"] for path in run.results.glob("runs/*.json")] == ["interrupted"]
