"""Checkpoints on real file systems: folders, URLs and fsspec's memory."""

import json
import pickle
import resource
import shutil
from itertools import islice
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cifar_models.checkpoint import TrainState, pack_state
from cifar_models.config import TrainConfig
from cifar_models.records import EpochRecord
from cifar_models.train import start, train
from grid.execution.checkpoints import CheckpointStore, StorageError
from tests.cifar_models.test_checkpoint import all_tensors, bits
from tests.cifar_models.test_train import make_config, make_split

KEY = "ab" * 12
OTHER = "cd" * 12


@pytest.fixture(params=["folder", "relative", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckpointStore:
    monkeypatch.chdir(tmp_path)
    MemoryFileSystem.store.clear()
    urls = {"folder": f"{tmp_path}/a/b", "relative": "a/b", "file": f"file://{tmp_path}/a/b", "memory": "memory://a/b"}
    return CheckpointStore(urls[request.param])


def trained(config: TrainConfig, num_epochs: int) -> tuple[TrainState, list[EpochRecord]]:
    state = start(config, make_split())
    records = list(islice(train(config, make_split(), state=state), num_epochs))
    return state, [record for record in records if isinstance(record, EpochRecord)]


def test_a_trial_goes_on_from_its_last_checkpoint_to_the_same_bits(store: CheckpointStore) -> None:
    config, data = make_config(optimizer__name="adamw", optimizer__schedule="one_cycle"), make_split()
    whole = bits(train(config, data))
    state, epochs = start(config, data), []
    for record in islice(train(config, data, state=state), 2):
        assert isinstance(record, EpochRecord)
        epochs.append(record)
        store.save(KEY, state, epochs)
    fresh = start(config, data)
    kept = store.load(KEY, fresh, 3)
    assert kept == tuple(epochs)  # their times, too
    assert bits([*kept, *train(config, data, state=fresh)]) == whole


def test_without_a_checkpoint_the_state_stays_fresh(store: CheckpointStore) -> None:
    state, epochs = trained(make_config(), 1)
    store.save(KEY, state, epochs)
    assert store.load(OTHER, state, 3) == ()
    store.remove(KEY)
    store.remove(KEY)
    assert store.load(KEY, state, 3) == ()
    assert state.epoch == 1


def test_a_worker_with_another_folder_finds_the_checkpoints(
    store: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, epochs = trained(make_config(), 1)
    store.save(KEY, state, epochs)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert pickle.loads(pickle.dumps(store)).load(KEY, state, 3) == tuple(epochs)


def test_the_probe_leaves_nothing(store: CheckpointStore, tmp_path: Path) -> None:
    store.check()
    assert not [path for path in tmp_path.rglob("*") if "probe" in path.name]
    assert not [name for name in MemoryFileSystem.store if "probe" in name]


def saved(tmp_path: Path, key: str = KEY) -> tuple[CheckpointStore, Path]:
    store = CheckpointStore(str(tmp_path))
    store.save(key, *trained(make_config(), 1))
    return store, tmp_path / key / "state.safetensors"


def assert_starts_anew(store: CheckpointStore) -> None:
    fresh = start(make_config(), make_split())
    before = {name: value.tolist() for name, value in all_tensors(fresh).items()}
    assert store.load(KEY, fresh, 3) == ()
    assert fresh.epoch == 0
    assert {name: value.tolist() for name, value in all_tensors(fresh).items()} == before


def test_a_state_after_more_epochs_than_the_trial_has_is_as_good_as_none(tmp_path: Path) -> None:
    store, fresh = CheckpointStore(str(tmp_path)), start(make_config(), make_split())
    store.save(KEY, *trained(make_config(), 2))
    assert (store.num_epochs(KEY), store.num_epochs(OTHER)) == (2, 0)
    assert store.load(KEY, fresh, max_epochs=1) == ()
    assert fresh.epoch == 0
    assert len(store.load(KEY, fresh, max_epochs=2)) == fresh.epoch == 2


def test_curves_of_another_length_than_the_state_says_are_as_good_as_none(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path))
    state, epochs = trained(make_config(), 2)
    store.save(KEY, state, epochs[:1])
    assert_starts_anew(store)


def test_a_truncated_checkpoint_is_as_good_as_none(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert_starts_anew(store)


def test_the_checkpoint_of_another_trial_in_its_place_is_as_good_as_none(tmp_path: Path) -> None:
    store, path = saved(tmp_path, OTHER)
    shutil.copytree(path.parent, tmp_path / KEY)
    assert_starts_anew(store)


def test_the_checkpoint_of_another_model_is_as_good_as_none(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path))
    store.save(KEY, *trained(make_config(model__filters=[5]), 1))
    assert_starts_anew(store)


def test_curves_that_this_version_does_not_know_are_as_good_as_none(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    state, _ = trained(make_config(), 1)
    path.write_bytes(pack_state(state, {"name": KEY, "epochs": json.dumps([{"epoch": 1, "accuracy": 0.5}])}))
    assert_starts_anew(store)


def test_what_a_killed_process_left_half_written_is_not_read_and_goes_with_the_rest(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    path.rename(path.with_name(f".{path.name}-0123"))
    assert_starts_anew(store)
    store.remove(KEY)
    assert list(tmp_path.iterdir()) == []


def test_full_storage_is_one_line_and_the_earlier_checkpoint_stays(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    earlier = path.read_bytes()
    state, epochs = trained(make_config(), 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"^checkpoint storage .*: can't be written \(File too large\); give.*$"):
            store.save(KEY, state, epochs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == earlier
    assert list(path.parent.iterdir()) == [path]


def test_a_url_that_no_file_system_knows_is_one_line() -> None:
    with pytest.raises(StorageError, match=r"^checkpoint storage nowhere://x: can't be used \(Protocol not known.*$"):
        CheckpointStore("nowhere://x")


def test_storage_that_can_not_be_used_is_one_line_in_every_step(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    store = CheckpointStore(str(in_the_way / "folder"))
    state, epochs = trained(make_config(), 1)
    steps = (store.check, lambda: store.save(KEY, state, epochs), lambda: store.load(KEY, state, 3))
    for step in steps:
        with pytest.raises(StorageError, match=r"^checkpoint storage .*Not a directory.*$") as caught:
            step()
        assert "\n" not in str(caught.value)
