"""Many processes that want one lock at a time, while some are paused or killed."""

import contextlib
import fcntl
import itertools
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from grid.errors import LostLockError, UserError
from grid.records import lock
from grid.records.holder import Holder
from grid.records.lock import LOCK, held_lock
from tests.grid.records.held_locks import leave_stale, make_quick

NUM_RACERS = 8
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])  # so that a new process takes milliseconds


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
