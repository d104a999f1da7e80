"""Ctrl-C and SIGTERM. Ctrl-C is sent as a terminal sends it: to the whole process group, Ray's processes too."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_models.checkpoint import unpack
from grid.execution.resources import Resources
from grid.execution.schedule import Queue
from tests.grid.execution.small_runs import Driver, curves, run, uninterrupted

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
    driver = Driver(tmp_path, num_trials=6, epochs=12, checkpoint_interval_s=0)
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


@pytest.mark.parametrize("stop", [press_twice, terminate])
def test_a_second_press_or_sigterm_stops_now_and_keeps_the_checkpoints(
    tmp_path: Path, stop: Callable[[Driver], None]
) -> None:
    driver = Driver(tmp_path, num_trials=2, epochs=2000, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    stop(driver)
    asked = time.monotonic()
    assert driver.process.wait(timeout=60) == 130
    assert time.monotonic() - asked < 30
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
