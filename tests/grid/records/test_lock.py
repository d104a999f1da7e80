"""The lock of a results folder, between real processes."""

import contextlib
import fcntl
import itertools
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from grid.errors import LostLockError, UserError
from grid.records import holder, lock
from grid.records.files import Folder
from grid.records.holder import Holder
from grid.records.lock import LOCK, Fence, held_lock
from grid.records.lock_file import LockFile

HOLD = """
import sys
from pathlib import Path
from grid.records.lock import held_lock
with held_lock(Path(sys.argv[1]), "cifar-grid run q2"):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_QUICKLY = """
import os, signal, sys, time
from pathlib import Path
from grid.errors import LostLockError
from grid.records import lock
lock.SIGN_S, lock.TRUSTED_S = 0.05, 0.3
try:
    with lock.held_lock(Path(sys.argv[1]), "cifar-grid run q2", on_loss=lambda: os.kill(os.getpid(), signal.SIGINT)):
        print("held", flush=True)
        sys.stdin.read()
except LostLockError as error:
    sys.exit(str(error))
"""
QUICK = {"SIGN_S": 0.05, "TRUSTED_S": 0.3, "WATCHED_S": 0.6, "SILENT_S": 0.8}
NUM_RACERS = 8
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])  # so that a new process takes milliseconds


@contextmanager
def other_run(folder: Path, program: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed or its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
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
        fields = json.loads((folder / LOCK).read_text())
        earlier = fields["process_start"].rpartition(" ")[0] + " earlier"
        fields |= {"process_start": earlier, "token": os.urandom(16).hex()}
    (folder / LOCK).write_text(json.dumps(fields | changes))
    return folder / LOCK


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life so quick that a test need not wait for them."""
    make_quick(monkeypatch.setattr)


def make_quick(set_to: Callable[[object, str, object], None]) -> None:
    for name, seconds in QUICK.items():
        set_to(lock, name, seconds)


@contextmanager
def taken(folder: Path, *, take_over: bool = False) -> Iterator[list[str]]:
    """Holds the lock; yields what was said on the way."""
    said: list[str] = []
    with held_lock(folder, "second", say=said.append, take_over=take_over):
        yield said


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
    with taken(tmp_path) as said:
        assert said == []


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_what_a_killed_run_leaves_is_taken_over_with_a_line(tmp_path: Path, reaped: bool) -> None:
    with other_run(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        if reaped:
            other.wait()
        else:
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with taken(tmp_path) as said:
            assert len(said) == 1
            assert f"took over {tmp_path} from a run that is gone: process {other.pid} on " in said[0]
            with pytest.raises(UserError, match=rf"process {os.getpid()} on .*\(second\)"), held_lock(tmp_path, "x"):
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_recognised(tmp_path: Path) -> None:
    leave_stale(tmp_path)
    with taken(tmp_path) as said:
        assert len(said) == 1


def test_a_process_whose_start_is_hidden_counts_as_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_stale(tmp_path)
    monkeypatch.setattr(holder, "process_start", lambda pid: None)
    with pytest.raises(UserError, match="in use by"), held_lock(tmp_path, "second"):
        pass


ELSEWHERE = [{"host": "node-7"}, {"machine": "another container"}, {"process_start": "another-boot 17"}]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_another_machines_lock_is_not_judged_but_explained(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    path = leave_stale(tmp_path, **elsewhere)
    with pytest.raises(UserError, match=r"its last sign of life came \d s ago; if it was killed, add --take-over, or"):
        held_lock(tmp_path, "second").__enter__()
    assert path.exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_another_machines_lock_that_has_long_given_no_sign_is_taken_over(
    tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    path = leave_stale(tmp_path, **elsewhere)
    os.utime(path, (time.time() - 100,) * 2)
    with taken(tmp_path) as said:
        assert "gives a sign of life" in said[0] and "from a run that is gone" in said[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_silent_run_that_gives_a_sign_at_the_last_moment_keeps_its_lock(tmp_path: Path) -> None:
    path = leave_stale(tmp_path, host="node-7")
    os.utime(path, (time.time() - 100,) * 2)
    sign = threading.Timer(QUICK["WATCHED_S"] / 2, os.utime, (path,))
    sign.start()
    with pytest.raises(UserError, match="in use by process"), taken(tmp_path):
        pass
    sign.join()
    assert [found.name for found in tmp_path.iterdir()] == [LOCK]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("offset_s", [0, 10**6])
def test_a_lock_of_an_unknown_state_is_taken_over_when_the_user_says_so(tmp_path: Path, offset_s: int) -> None:
    """Also one that is dated in the future, by a clock that was wrong."""
    path = leave_stale(tmp_path, host="node-7")
    os.utime(path, (time.time() + offset_s,) * 2)
    with taken(tmp_path, take_over=True) as said:
        assert "from a run that is gone" in said[1]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_the_version_that_gave_no_signs(tmp_path: Path) -> None:
    path = leave_stale(tmp_path, host="node-7", format=1)
    fields = json.loads(path.read_text())
    del fields["renewals"]
    path.write_text(json.dumps(fields))
    os.utime(path, (0, 0))
    with pytest.raises(UserError, match=r"if that no longer runs, which only node-7 can tell, add --take-over$"):
        held_lock(tmp_path, "second").__enter__()
    with taken(tmp_path, take_over=True) as said:
        assert len(said) == 1
    leave_stale(tmp_path, format=1)
    with taken(tmp_path) as said:
        assert "from a run that is gone" in said[0]


@pytest.mark.usefixtures("quick")
def test_a_run_that_gives_signs_is_never_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holder, "is_here", lambda self: False)
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        time.sleep(QUICK["SILENT_S"])
        for take_over in (False, True):
            with (
                pytest.raises(UserError, match=rf"in use by process {other.pid}"),
                taken(tmp_path, take_over=take_over),
            ):
                pass
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("here", [True, False])
def test_a_paused_run_whose_lock_was_taken_over_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    """On the same machine only when the user says so: the process is there, after all."""
    monkeypatch.setattr(Holder, "is_here", lambda self: here)
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        other.send_signal(signal.SIGSTOP)
        time.sleep(QUICK["SILENT_S"])
        if here:
            with pytest.raises(UserError, match="stop it with kill -INT"), taken(tmp_path):
                pass
        with taken(tmp_path, take_over=here):
            other.send_signal(signal.SIGCONT)
            assert other.wait(timeout=90) == 1
            assert other.stderr
            line = other.stderr.read()
            assert f"taken over by process {os.getpid()} on " in line and line.count("\n") == 1
            assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_paused_run_that_nobody_disturbed_takes_its_lock_anew_and_goes_on(tmp_path: Path) -> None:
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        token = json.loads((tmp_path / LOCK).read_text())["token"]
        other.send_signal(signal.SIGSTOP)
        time.sleep(1)
        other.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 20
        while not (fields := json.loads((tmp_path / LOCK).read_text()))["renewals"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (fields["token"], fields["renewals"]) == (token, 1)
        Fence(LockFile(Folder(tmp_path), LOCK), token).check()
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_lock_that_was_removed_by_hand_comes_back(tmp_path: Path) -> None:
    with held_lock(tmp_path, "first"):
        before = (tmp_path / LOCK).read_text()
        (tmp_path / LOCK).unlink()
        deadline = time.monotonic() + 20
        while not (tmp_path / LOCK).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / LOCK).read_text() == before
    assert list(tmp_path.iterdir()) == []


def test_a_fence_lets_nothing_through_once_another_run_has_the_lock(tmp_path: Path) -> None:
    with pytest.raises(LostLockError), held_lock(tmp_path, "first") as mine:
        fence = mine.fence()
        fence.check()
        (tmp_path / LOCK).unlink()
        fence.check()
        leave_stale(tmp_path)
        with pytest.raises(LostLockError, match=r"taken over by process \d+ .*this one ends"):
            fence.check()


@pytest.mark.parametrize("token", ["../../escaped", "a/b", "", "A" * 32, "0" * 31, "0" * 32 + "\n"])
def test_a_forged_token_leads_nowhere(tmp_path: Path, token: str) -> None:
    folder = tmp_path / "deep" / "results"
    folder.mkdir(parents=True)
    leave_stale(folder, token=token)
    with pytest.raises(UserError, match="not a lock of this version"), taken(folder, take_over=True):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "results", LOCK]


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
    with pytest.raises(LostLockError), held_lock(tmp_path, "first"):
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
            token, claimed = json.loads(stale.read_text())["token"], os.urandom(16).hex()
            claim = stale.rename(tmp_path / f"{LOCK}.{token}")
            claim.write_text(stale_text := claim.read_text().replace(token, claimed))
            stale.write_text(stale_text.replace(claimed, token))
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


def contend_elsewhere(folder: Path, log: Path) -> None:
    """Takes and releases the lock forever, and can only see signs of the others; notes when it relied on the lock."""
    make_quick(setattr)
    Holder.is_here = lambda self: False  # type: ignore[method-assign]
    draw = random.Random()
    while True:
        with contextlib.suppress(UserError, LostLockError), held_lock(folder, "contender") as mine:
            until = time.monotonic() + draw.uniform(0, 0.3)
            while time.monotonic() < until and mine.lost_to is None:
                now = lock._clock()
                if mine.lost_to is None and now - mine.last_sign <= lock.TRUSTED_S:
                    with log.open("a") as file:
                        file.write(f"{now} {mine.holder.token}\n")
                time.sleep(0.005)


def wake(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it was killed in the meantime
        os.kill(pid, signal.SIGCONT)


def test_of_contenders_that_are_paused_and_killed_no_two_rely_on_the_lock_at_a_time(tmp_path: Path) -> None:
    draw, folder, log = random.Random(0), tmp_path / "results", tmp_path / "log"
    folder.mkdir()
    contenders = [PROCESSES.Process(target=contend_elsewhere, args=(folder, log), daemon=True) for _ in range(5)]
    for contender in contenders:
        contender.start()
    for _ in range(25):
        time.sleep(draw.uniform(0, 0.6))
        victim = draw.randrange(len(contenders))
        pid = contenders[victim].pid
        assert pid is not None
        if draw.random() < 0.7:
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(draw.uniform(0.1, 3), wake, (pid,)).start()
        else:
            contenders[victim].kill()
            contenders[victim].join()
            contenders[victim] = PROCESSES.Process(target=contend_elsewhere, args=(folder, log), daemon=True)
            contenders[victim].start()
    time.sleep(3)  # what is paused wakes
    for contender in contenders:
        assert contender.is_alive()
        contender.kill()
        contender.join()
    spans: dict[str, list[float]] = {}
    for line in log.read_text().splitlines():
        when, token = line.split()
        spans.setdefault(token, []).append(float(when))
    ordered = sorted((min(times), max(times)) for times in spans.values())
    assert len(ordered) > 10
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(ordered))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="compares with /proc")
def test_where_there_is_no_proc_the_start_of_a_process_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    mine = holder.process_start(os.getpid())
    assert mine and mine == holder.process_start(os.getpid())
    assert holder.process_start(2**22 - 1) is None
