"""What breaks, broken for real: killed workers, no memory, no disk, no storage for checkpoints."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ray._common.utils import get_system_memory
from ray._private.utils import get_used_memory

from cifar_models.checkpoint import unpack
from cifar_models.models import build_model
from grid.execution.resources import Resources
from grid.execution.schedule import Queue
from grid.execution.trial import is_out_of_memory
from tests.grid.execution.small_runs import POLL_S, Driver, curves, run, small_trials, uninterrupted

GIB = 2**30

needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")


@needs_proc
@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_workers_trial_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=1, epochs=40, checkpoint_interval_s=0)
    ((fingerprint, config),) = driver.trials.items()
    driver.wait_until(lambda: fingerprint in driver.checkpoints())
    for worker in driver.workers():
        os.kill(worker, signal.SIGKILL)
    _, metadata = unpack(driver.checkpoints()[fingerprint].read_bytes())
    assert driver.process.wait(timeout=120) == 0
    record = driver.records()[fingerprint]
    assert record.status == "ok"
    assert curves(record.epochs) == uninterrupted(config)
    times = [epoch["wall_s"] for epoch in json.loads(metadata["epochs"])]
    assert [epoch.wall_s for epoch in record.epochs[: len(times)]] == times, "these epochs were not trained again"
    assert record.wall_s > sum(epoch.wall_s for epoch in record.epochs)


@needs_proc
@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_whose_worker_is_lost_every_time_is_a_row_with_its_reason(tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=1, epochs=2000)
    killed: set[int] = set()
    while driver.process.poll() is None:
        for worker in driver.workers():
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
        time.sleep(POLL_S)
    assert driver.process.returncode == 0, driver.log.read_text()
    assert len(killed) >= 3
    (record,) = driver.records().values()
    assert record.status == "error"
    assert record.reason is not None and record.reason.endswith("(tried 3 times)") and "\n" not in record.reason


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_rays_memory_monitor_kills_is_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    driver = Driver(tmp_path, num_trials=1, epochs=2000)
    assert driver.process.wait(timeout=180) == 0, driver.log.read_text()
    (record,) = driver.records().values()
    assert record.status == "out_of_memory"
    assert record.reason is not None and "low on memory" in record.reason and "\n" not in record.reason


@needs_proc
@pytest.mark.ray
@pytest.mark.slow
def test_so_is_one_that_it_kills_in_its_midst_since_others_take_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, total = get_used_memory(), get_system_memory()
    if total - used < 8 * GIB:
        pytest.skip("takes 4 GiB for a moment, and not the last ones of this machine")
    monkeypatch.setenv("RAY_memory_usage_threshold", str((used + 4 * GIB) / total))
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    driver = Driver(tmp_path, num_trials=1, epochs=20_000, checkpoint_interval_s=0)
    driver.wait_until(driver.checkpoints)
    taken = [sys.executable, "-c", f"import sys; taken = b'x' * {4 * GIB}; sys.stdin.read()"]
    with subprocess.Popen(taken, stdin=subprocess.PIPE) as others:
        try:
            assert driver.process.wait(timeout=180) == 0, driver.log.read_text()
        finally:
            others.kill()
    (record,) = driver.records().values()
    assert record.status == "out_of_memory"
    assert record.reason is not None and "low on memory" in record.reason and "\n" not in record.reason


def test_out_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[None]:
    """A file system of its own, which is soon full."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount")
def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_is_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "results", kib=200):
        driver = Driver(tmp_path, num_trials=40, epochs=2)
        assert driver.process.wait(timeout=120) == 1, driver.log.read_text()
        last = driver.log.read_text().splitlines()[-1]
        assert last.startswith("ledger: a trial can't be written ([Errno 28] No space left on device"), last
        assert last.endswith("finished ones are kept: make room, run again")
        assert "Traceback" not in driver.log.read_text()
        ledger = driver.ledger
        assert 0 < len(ledger.fingerprints()) < 40
        assert ledger.set_aside_damaged(driver.trials) == []
        assert list((ledger.files.path / ".staging").iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_without_storage_for_checkpoints_trials_are_trained_all_the_same_and_it_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file is in the way")
    trials = small_trials(3, epochs=2)
    ledger, printed = run(Queue(trials), tmp_path, Resources(checkpoint_interval_s=0), keep_weights=True)
    records = ledger.read(trials)
    assert [record.status for record in records.values()] == ["ok"] * 3
    assert printed.count("3 trials were trained without a checkpoint: checkpoint storage") == 1
    for fingerprint, config in trials.items():  # the weights were asked for
        tensors, about = unpack(ledger.weights(fingerprint))
        build_model(config.model, 10).load_state_dict(tensors)
        assert about["fingerprint"] == fingerprint
