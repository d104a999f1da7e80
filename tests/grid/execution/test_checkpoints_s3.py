"""Checkpoints on S3, as `--checkpoints s3://...` asks for: a server of this machine, a run that loses its worker."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from fsspec.registry import _registry

from cifar_models.checkpoint import unpack
from cifar_models.records import EpochRecord
from cifar_models.train import start, train
from grid.execution.checkpoints import CheckpointStore, StorageError
from tests.cifar_models.test_checkpoint import bits
from tests.cifar_models.test_train import make_config, make_split
from tests.grid.execution.s3_server import content, running_s3, stored
from tests.grid.execution.small_runs import Driver, curves, uninterrupted
from tests.grid.execution.test_faults import needs_proc

KEY = "ab" * 12


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with running_s3(tmp_path, monkeypatch) as url:
        yield url


def test_a_trial_goes_on_from_its_last_checkpoint_to_the_same_bits(url: str) -> None:
    config, data, store = make_config(optimizer__name="adamw"), make_split(), CheckpointStore(url)
    whole = bits(train(config, data))
    state, epochs = start(config, data), []
    for record in islice(train(config, data, state=state), 2):
        assert isinstance(record, EpochRecord)
        epochs.append(record)
        store.save(KEY, state, epochs)
    assert stored(url) == [f"checkpoints/{KEY}/state.safetensors"]
    fresh = start(config, data)
    kept = CheckpointStore(url).load(KEY, fresh, 3)
    assert bits([*kept, *train(config, data, state=fresh)]) == whole
    store.remove(KEY)
    assert stored(url) == []
    assert store.load(KEY, fresh, 3) == ()


def test_the_probe_passes_and_leaves_nothing(url: str) -> None:
    CheckpointStore(url).check()
    assert stored(url) == []


def test_a_server_that_refuses_is_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # it is asked again and again for half a minute otherwise
    with pytest.raises(
        StorageError, match=r"^checkpoint storage s3://.*: can't be written, read and removed \(.*$"
    ) as e:
        CheckpointStore(url).check()
    assert "\n" not in str(e.value)


def test_without_s3fs_the_line_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(StorageError, match=r"pip install 'cifar-grid\[s3\]' on every node$"):
        CheckpointStore("s3://grid/checkpoints")


@needs_proc
@pytest.mark.ray
@pytest.mark.slow
def test_a_run_that_loses_its_worker_goes_on_from_s3_to_the_same_bits(url: str, tmp_path: Path) -> None:
    driver = Driver(tmp_path, num_trials=1, epochs=40, checkpoints=url, checkpoint_interval_s=0)
    ((fingerprint, config),) = driver.trials.items()
    key = f"checkpoints/{fingerprint}/state.safetensors"
    driver.wait_until(lambda: key in stored(url), patience_s=300)
    for worker in driver.workers():
        os.kill(worker, signal.SIGKILL)
    _, metadata = unpack(content(f"{url}/{fingerprint}/state.safetensors"))
    assert driver.process.wait(timeout=240) == 0, driver.log.read_text()
    record = driver.records()[fingerprint]
    assert record.status == "ok"
    assert curves(record.epochs) == uninterrupted(config)
    times = [epoch["wall_s"] for epoch in json.loads(metadata["epochs"])]
    assert times and [epoch.wall_s for epoch in record.epochs[: len(times)]] == times, "epochs were trained again"
    assert stored(url) == [], "a finished trial's checkpoint is removed, and nothing else is left"
    assert driver.checkpoints() == {}
