"""The lock of a results folder, between real processes."""

import fcntl
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from grid.errors import UserError
from grid.records import lock
from grid.records.lock import LOCK, held_lock

HOLD = """
import sys
from pathlib import Path
from grid.records.lock import held_lock
with held_lock(Path(sys.argv[1]), "cifar-grid run q2"):
    print("held", flush=True)
    sys.stdin.read()
"""
NUM_RACERS = 8
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])  # so that a new process takes milliseconds


@contextmanager
def other_run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed or its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def leave_stale(folder: Path, **changes: object) -> Path:
    """A lock whose process had the number of this one, some time ago; with some of its fields changed."""
    with held_lock(folder, "cifar-grid run q3"):
        fields = json.loads((folder / LOCK).read_text()) | {"process_start": "earlier", "token": os.urandom(8).hex()}
    (folder / LOCK).write_text(json.dumps(fields | changes))
    return folder / LOCK


def test_a_second_run_is_refused_with_one_line_that_says_who_runs(tmp_path: Path) -> None:
    with other_run(tmp_path) as other:
        with pytest.raises(UserError) as refused, held_lock(tmp_path, "second"):
            pass
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0
    text = str(refused.value)
    assert f"in use by process {other.pid} on {socket.gethostname()}, started by " in text
    assert f"UTC (cifar-grid run q2); wait for it, stop it with kill -INT {other.pid}, or give another" in text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []
    with held_lock(tmp_path, "third") as taken_over:
        assert taken_over is None


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_what_a_killed_run_leaves_is_taken_over_with_a_line(tmp_path: Path, reaped: bool) -> None:
    with other_run(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        if reaped:
            other.wait()
        else:
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with held_lock(tmp_path, "second") as taken_over:
            assert taken_over is not None
            assert f"took over {tmp_path} from a run that is gone: process {other.pid} on " in taken_over
            with pytest.raises(UserError, match=rf"process {os.getpid()} on .*\(second\)"), held_lock(tmp_path, "x"):
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_recognised(tmp_path: Path) -> None:
    leave_stale(tmp_path)
    with held_lock(tmp_path, "second") as taken_over:
        assert taken_over is not None


def test_a_process_whose_start_is_hidden_counts_as_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_stale(tmp_path)
    monkeypatch.setattr(lock, "_process_start", lambda pid: None)
    with pytest.raises(UserError, match="in use by"), held_lock(tmp_path, "second"):
        pass


@pytest.mark.parametrize("elsewhere", [{"host": "node-7"}, {"machine": "another container"}])
def test_another_machines_lock_is_not_judged_but_explained(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    path = leave_stale(tmp_path, **elsewhere)
    with pytest.raises(UserError, match=rf"if that no longer runs, which only .* can tell, remove {path}$"):
        held_lock(tmp_path, "second").__enter__()
    assert path.exists()


@pytest.mark.parametrize("content", ["", "{}", "not JSON", '{"format": 2}'])
def test_a_lock_that_cannot_be_read_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(UserError, match=rf"{LOCK}: not a lock of this version; remove it if no run is at work there$"):
        held_lock(tmp_path, "second").__enter__()


def test_it_is_released_whatever_happens_and_an_empty_folder_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held_lock(tmp_path / "new", "first"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with held_lock(tmp_path / "new", "second"):
        (tmp_path / "new" / "result").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result"]


def test_a_lock_that_was_removed_by_hand_and_taken_by_another_is_not_released(tmp_path: Path) -> None:
    with held_lock(tmp_path, "first"):
        (tmp_path / LOCK).unlink()
        theirs = leave_stale(tmp_path)
    assert theirs.exists()


def test_a_hostile_command_is_one_printable_line(tmp_path: Path) -> None:
    with held_lock(tmp_path, "run \x1b[2J\n\udcff"), pytest.raises(UserError) as refused:
        held_lock(tmp_path, "second").__enter__()
    assert str(refused.value).isprintable()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/results: can't be written \(Not a directory: .*give another"):
        held_lock(tmp_path / "file" / "results", "first").__enter__()


def race(folder: Path, start: Barrier, won: "multiprocessing.SimpleQueue[int]", num_rounds: int) -> None:
    for number in range(num_rounds):
        start.wait()
        try:
            with held_lock(folder, f"racer {number}"):
                won.put(number)
                start.wait()
        except UserError as refused:
            assert "racer" in str(refused)
            start.wait()


def test_of_eight_that_find_a_stale_lock_exactly_one_takes_it(tmp_path: Path) -> None:
    """Also when the last one that was to take it over was killed in the middle of that."""
    num_rounds = 40
    start, won = PROCESSES.Barrier(NUM_RACERS + 1), PROCESSES.SimpleQueue()
    racers = [
        PROCESSES.Process(target=race, args=(tmp_path, start, won, num_rounds), daemon=True) for _ in range(NUM_RACERS)
    ]
    for racer in racers:
        racer.start()
    for number in range(num_rounds):
        stale = leave_stale(tmp_path)
        if number % 2:
            token = json.loads(stale.read_text())["token"]
            claim = stale.rename(tmp_path / f"{LOCK}.{token}")
            claim.write_text(stale_text := claim.read_text().replace(token, "claim"))
            stale.write_text(stale_text.replace("claim", token))
        start.wait(timeout=60)
        start.wait(timeout=60)
        assert won.get() == number and won.empty()
        deadline = time.monotonic() + 10
        while (tmp_path / LOCK).exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert list(tmp_path.iterdir()) == []
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0


def contend(folder: Path, alone: Path) -> None:
    """Takes and releases the lock forever; nobody else may be inside, which the kernel's own lock can tell."""
    while True:
        try:
            with held_lock(folder, "contender"), alone.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except UserError:
            pass


def test_contenders_killed_at_random_moments_never_share_nor_lose_the_lock(tmp_path: Path) -> None:
    draw, folder, alone = random.Random(0), tmp_path / "results", tmp_path / "alone"
    folder.mkdir()
    alone.touch()
    contenders = [PROCESSES.Process(target=contend, args=(folder, alone), daemon=True) for _ in range(4)]
    for contender in contenders:
        contender.start()
    for _ in range(60):
        time.sleep(draw.uniform(0, 0.03))
        victim = draw.randrange(len(contenders))
        contenders[victim].kill()
        contenders[victim].join()
        assert contenders[victim].exitcode == -signal.SIGKILL, "it was inside together with another"
        contenders[victim] = PROCESSES.Process(target=contend, args=(folder, alone), daemon=True)
        contenders[victim].start()
    for contender in contenders:
        contender.kill()
        contender.join()
        assert contender.exitcode == -signal.SIGKILL
    with held_lock(folder, "the last"):
        pass


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="compares with /proc")
def test_where_there_is_no_proc_the_start_of_a_process_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    mine = lock._process_start(os.getpid())
    assert mine and mine == lock._process_start(os.getpid())
    assert lock._process_start(2**22 - 1) is None
