"""Training that was interrupted goes on to the same numbers, to the last bit; files that are not whole are not used."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from cifar_models.checkpoint import (
    CheckpointError,
    TrainState,
    pack_state,
    pack_weights,
    restore,
    unpack,
)
from cifar_models.config import TrainConfig
from cifar_models.data import Split
from cifar_models.models import build_model
from cifar_models.optimizers import RULES
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import start, train
from tests.cifar_models.test_train import EVERY_CHANGE, make_config, make_split

ALL_AT_ONCE = {name: value for name, value in EVERY_CHANGE.items() if name.startswith("augmentation")}
ALL_AT_ONCE |= {"model__survival": 0.5, "model__dropout": 0.3, "optimizer__lr": 0.003}
"""Everything that draws at random in one small network."""

LITE0 = {"architecture": "efficientnet_lite0"}
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "nchw": {"channels_last": False},
    "added": {"augmentation__mode": "added", "augmentation__flip": 0.5},
    "no_norm": {"model__batch_norm": False, "optimizer__l1": 0.001},
    "published": {"model": LITE0, "epochs": 2},
    "last_layer": {"model": LITE0 | {"weights": "imagenet", "trainable": "last_layer"}, "epochs": 2},
}


def bits(records: Iterable[EpochRecord | TestRecord]) -> list[tuple[object, ...]]:
    """All that was measured but the time, to the last bit."""
    return [
        (r.epoch, *(value.hex() for value in (r.lr, r.train_loss, r.train_acc, r.val_loss, r.val_acc)))
        if isinstance(r, EpochRecord)
        else (r.loss.hex(), r.acc, r.label.tobytes(), r.predicted.tobytes(), r.true_prob.tobytes())
        for r in records
    ]


def train_epochs(config: TrainConfig, data: Split, num_epochs: int) -> tuple[TrainState, list[tuple[object, ...]]]:
    """Stops after so many epochs; what is left is the state, and what was measured."""
    state = start(config, data)
    return state, bits(islice(train(config, data, state=state), num_epochs))


def trained_state() -> TrainState:
    return train_epochs(make_config(optimizer__name="adam"), make_split(num_train=48), 1)[0]


def assert_goes_on_to_the_same_bits(config: TrainConfig) -> None:
    data = make_split(num_train=48)
    whole = bits(train(config, data))
    assert len(whole) == config.epochs + 1
    for num_epochs in range(1, config.epochs):
        stopped, before = train_epochs(config, data, num_epochs)
        packed = pack_state(stopped, {})
        torch.manual_seed(999)
        state = start(config, data)
        restore(state, *unpack(packed))
        assert before + bits(train(config, data, state=state)) == whole


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("optimizer", RULES)
def test_every_rule_and_schedule_goes_on_after_every_epoch(optimizer: str, schedule: str) -> None:
    config = make_config(optimizer__name=optimizer, optimizer__schedule=schedule, **ALL_AT_ONCE)
    assert_goes_on_to_the_same_bits(config)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_and_format_goes_on_after_every_epoch(variant: str) -> None:
    config = make_config(**{"optimizer__name": "adam", "optimizer__lr": 0.003, **VARIANTS[variant]})
    assert_goes_on_to_the_same_bits(config)


def test_another_process_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    config, data, path = make_config(**ALL_AT_ONCE), make_split(), tmp_path / "state"
    whole = bits(train(config, data))
    stopped, before = train_epochs(config, data, 2)
    path.write_bytes(pack_state(stopped, {}))
    code = (
        "from tests.cifar_models.test_checkpoint import *; config, data = make_config(**ALL_AT_ONCE), make_split();"
        f"state = start(config, data); restore(state, *unpack(Path({str(path)!r}).read_bytes()));"
        "print(bits(train(config, data, state=state)))"
    )
    rest = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert rest.strip() == str(whole[len(before) :])


def test_a_state_that_was_loaded_is_that_which_was_saved_and_lies_in_memory_as_it_did() -> None:
    config, data = make_config(optimizer__name="adam"), make_split()
    saved, _ = train_epochs(config, data, 2)
    tensors, metadata = unpack(pack_state(saved, {"note": "kept"}))
    loaded = start(config, data)
    restore(loaded, tensors, metadata)
    assert metadata["note"] == "kept"
    assert loaded.epoch == 2
    assert loaded.optimizer.state_dict()["param_groups"] == saved.optimizer.state_dict()["param_groups"]
    assert loaded.schedule.state_dict() == saved.schedule.state_dict()
    kept, expected = all_tensors(loaded), all_tensors(saved)
    assert kept.keys() == expected.keys()
    assert sum(name.endswith("exp_avg_sq") for name in kept) == len(list(loaded.model.parameters()))
    for name, value in expected.items():
        assert torch.equal(kept[name], value), name
        assert (kept[name].dtype, kept[name].stride()) == (value.dtype, value.stride()), name
    assert any(value.dim() == 4 and not value.is_contiguous() for value in expected.values())


def all_tensors(state: TrainState) -> dict[str, torch.Tensor]:
    gathered = state.optimizer.state_dict()["state"]
    return state.model.state_dict() | {
        f"{index}.{name}": value for index, values in gathered.items() for name, value in values.items()
    }


def content(state: TrainState) -> str:
    """All of a state, so that two can be compared."""
    tensors, metadata = unpack(pack_state(state, {}))
    return str([(name, value.tolist()) for name, value in sorted(tensors.items())]) + str(sorted(metadata.items()))


def test_a_file_with_any_byte_changed_or_missing_is_never_used() -> None:
    stopped, _ = train_epochs(make_config(), make_split(), 1)
    whole = pack_state(stopped, {"fingerprint": "ab"})
    generator = np.random.RandomState(0)
    damaged = [whole[:size] for size in (0, 1, 8, 9, 500, len(whole) // 2, len(whole) - 1)] + [whole + b"\0"]
    for place in [*range(40), *generator.randint(0, len(whole), 400)]:
        damaged.append(whole[:place] + bytes([whole[place] ^ (1 << generator.randint(8))]) + whole[place + 1 :])
    for content in damaged:
        with pytest.raises(CheckpointError, match="damaged"):
            unpack(content)


def a_pickle() -> bytes:
    stream = io.BytesIO()
    torch.save({"model.a": torch.zeros(2)}, stream)
    return stream.getvalue()


def of_another_program() -> bytes:
    return save({"model.a": torch.zeros(2)}, {"epoch": "3", "optimizer": "[]", "schedule": "{}"})


@pytest.mark.parametrize("make", [a_pickle, of_another_program])
def test_files_of_other_programs_are_never_used(make: Callable[[], bytes]) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        unpack(make())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model__filters": [5]}, r"of another model \(.* differs\)"),
        ({"model__batch_norm": False}, r"of another model \(.* differs\)"),
        ({"optimizer__name": "sgd_momentum"}, "of another optimizer"),
        ({"optimizer__lr": 0.1}, "of another optimizer"),
        ({"optimizer__weight_decay": 0.1}, "of another optimizer"),
        ({"optimizer__schedule": "cosine"}, "of another schedule"),
    ],
)
def test_the_state_of_another_trial_is_refused_and_changes_nothing(changes: dict[str, Any], problem: str) -> None:
    data = make_split()
    packed = pack_state(start(make_config(seed=1), data), {})
    other = start(make_config(**changes), data)
    before = content(other)
    with pytest.raises(CheckpointError, match=problem):
        restore(other, *unpack(packed))
    assert content(other) == before


def test_weights_are_a_plain_safetensors_file_with_all_that_their_user_must_know(tmp_path: Path) -> None:
    config, data, path = make_config(), make_split(), tmp_path / "weights.safetensors"
    trained, _ = train_epochs(config, data, 1)
    path.write_bytes(pack_weights(trained, ("lying", "standing", "none"), {"note": "kept"}))
    model = build_model(config.model, 3)
    model.load_state_dict(load_file(path))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), trained.model.parameters(), strict=True))
    _, metadata = unpack(path.read_bytes())
    assert metadata["note"] == "kept"
    assert json.loads(metadata["classes"]) == ["lying", "standing", "none"]
    np.testing.assert_allclose(json.loads(metadata["mean"]), data.train_images.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(json.loads(metadata["std"]), data.train_images.std((0, 2, 3)), rtol=1e-6)


def test_the_last_checkpoint_leaves_only_the_test_set_to_do() -> None:
    config, data = make_config(), make_split()
    state, _ = train_epochs(config, data, config.epochs)
    assert [type(record) for record in train(config, data, state=state)] == [TestRecord]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", "x"), ("epoch", "-1"), ("epoch", "1e9"), ("epoch", None), ("epoch", "true"),
        ("optimizer", "null"), ("optimizer", "not JSON"), ("optimizer", "[]"), ("optimizer", "[" * 100_000),
        ("schedule", "1"), ("schedule", "{}"), ("schedule", None),
    ],
)  # fmt: skip
def test_a_forged_checkpoint_with_a_right_checksum_changes_nothing(name: str, value: str | None) -> None:
    state = trained_state()
    tensors, metadata = unpack(pack_state(state, {}))
    before = content(state)
    forged = {key: text for key, text in (metadata | {name: value}).items() if text is not None}
    with pytest.raises(CheckpointError):
        restore(state, tensors, forged)
    assert content(state) == before


@pytest.mark.parametrize(
    "forge",
    [
        lambda name, value: (name, value.to(torch.complex64)),
        lambda name, value: (f"optimizer.9999.{name.rpartition('.')[2]}", value),
        lambda name, value: ("optimizer.x", value),
        lambda name, value: (name, torch.zeros(3, 5, 7)),
    ],
)
def test_what_an_optimizer_gathered_is_checked_before_use(forge: Callable[..., tuple[str, torch.Tensor]]) -> None:
    state = trained_state()
    tensors, metadata = unpack(pack_state(state, {}))
    before = content(state)
    victim = next(name for name in tensors if name.startswith("optimizer."))
    name, value = forge(victim, tensors.pop(victim))
    with pytest.raises(CheckpointError, match="of another optimizer"):
        restore(state, {**tensors, name: value}, metadata)
    assert content(state) == before
