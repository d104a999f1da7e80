"""Ctrl-C and SIGTERM. Ctrl-C is sent as a terminal sends it: to the whole process group, Ray's processes too."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cifar_models.checkpoint import unpack
from grid.errors import LostLockError
from grid.execution.interrupt import stop_main_thread, stoppable
from grid.execution.recorder import Recorder
from grid.execution.resources import Resources
from grid.execution.schedule import Job, Queue
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.lock import LOCK, held_lock
from tests.grid.execution.small_runs import Driver, curves, run, small_trials, uninterrupted
from tests.grid.records.test_ledger import predictions, record

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def press_once(driver: Driver) -> None:
    os.killpg(driver.process.pid, signal.SIGINT)


def press_twice(driver: Driver) -> None:
    press_once(driver)
    driver.wait_until(lambda: "press Ctrl-C again to stop now" in driver.log.read_text())
    press_once(driver)


def terminate(driver: Driver) -> None:
    os.kill(driver.process.pid, signal.SIGTERM)


def test_one_press_lets_running_trials_finish_and_starts_no_other(tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=12, epochs=12, max_trials=2, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    press_once(driver)
    assert driver.process.wait(timeout=120) == 0
    log = driver.log.read_text()
    assert "Interrupted: running trials finish, and no other starts; press Ctrl-C again to stop now" in log
    assert "Traceback" not in log and "completed" not in log, "Tune prints nothing of its own"
    records = driver.records()
    assert 1 <= len(records) <= 4, "the running ones, and at most those that were about to start"
    assert {record.status for record in records.values()} == {"ok"}
    assert not driver.checkpoints(), "nothing is left half-trained"


def test_one_press_just_before_a_trial_starts_ends_without_it(tmp_path: Path) -> None:
    class PressedQueue(Queue):
        def next_job(self) -> Job | None:
            signal.raise_signal(signal.SIGINT)
            return super().next_job()

    ledger, printed = run(PressedQueue(small_trials(2)), tmp_path, Resources())
    assert "Interrupted: running trials finish" in printed
    assert ledger.fingerprints() == []


@pytest.mark.parametrize("stop", [press_twice, terminate])
def test_a_second_press_or_sigterm_stops_now_and_keeps_the_checkpoints(
    tmp_path: Path, stop: Callable[[Driver], None]
) -> None:
    driver = Driver(tmp_path, num_trials=2, epochs=20_000, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    stop(driver)
    assert driver.process.wait(timeout=120) == 130
    log = driver.log.read_text()
    assert "Stopped. Finished trials are kept: run the same command again to go on" in log
    assert "Traceback" not in log
    assert driver.checkpoints() and not driver.records()


def test_the_run_after_one_that_was_stopped_goes_on_from_its_checkpoints_to_the_same_bits(tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=1, epochs=40, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    terminate(driver)
    assert driver.process.wait(timeout=60) == 130
    ((fingerprint, config),) = driver.trials.items()
    _, metadata = unpack(driver.checkpoints()[fingerprint].read_bytes())
    before = json.loads(metadata["epochs"])
    assert 1 <= len(before) < 40

    ledger, _ = run(Queue(driver.trials), driver.results, Resources())
    record = ledger.read([fingerprint])[fingerprint]
    assert curves(record.epochs) == uninterrupted(config)
    times = [epoch["wall_s"] for epoch in before]
    assert [epoch.wall_s for epoch in record.epochs[: len(times)]] == times, "these epochs were not trained again"


@pytest.fixture
def default_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
def test_what_comes_while_a_run_stops_does_not_disturb_it() -> None:
    """Of a terminal that closes a run hears from the kernel and from the shell."""
    with stoppable(), stoppable():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("default_signals")
def test_a_closed_terminal_does_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stoppable():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("default_signals")
def test_any_thread_can_stop_the_main_one() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable():
        thread = threading.Thread(target=stop_main_thread)
        thread.start()
        time.sleep(60)
    thread.join()


def test_the_ledger_of_a_run_that_lost_its_folder_is_not_written(tmp_path: Path) -> None:
    """The recorder goes on while the driver is paused."""
    with pytest.raises(LostLockError), held_lock(tmp_path, "first") as mine:
        recorder = Recorder(Ledger(Folder(tmp_path).below("ledger")), mine.fence())
        recorder.ledger.prepare()
        recorder.commit(record(), predictions(), None)
        lock = tmp_path / LOCK
        lock.write_text(lock.read_text().replace(mine.holder.token, "0" * 32))
        with pytest.raises(OSError, match="taken over by"):
            recorder.commit(record(), predictions(), None)
