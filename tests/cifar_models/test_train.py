import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cifar_models.config import TRAINING_VERSION, OptimizerName, TrainConfig
from cifar_models.data import DataError, Split
from cifar_models.images import DeviceImages
from cifar_models.models import build_model
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import predict, start, train, train_epoch

GOLDEN = Path(__file__).parent / "golden.json"


def striped_images(num_images: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Three classes one can tell apart: horizontal stripes, vertical stripes, none; under noise."""
    generator = np.random.RandomState(seed)
    labels = np.arange(num_images) % 3
    images = generator.randint(0, 120, (num_images, 3, 32, 32))
    images[labels == 0, :, ::4, :] += 120
    images[labels == 1, :, :, ::4] += 120
    return images.astype(np.uint8), labels


def make_split(num_train: int = 96) -> Split:
    train, val, test = (striped_images(size, seed) for seed, size in enumerate((num_train, 30, 30)))
    return Split(*train, *val, *test, num_classes=3)


def make_config(**changes: Any) -> TrainConfig:
    small = {"filters": [4], "layers_per_block": 2, "pool_every": 1, "hidden_layer_count": 1, "hidden_layer_size": 16}
    base: dict[str, Any] = {"model": small, "batch_size": 16, "epochs": 3, "precision": "fp32"}
    for field, value in changes.items():
        parent, _, leaf = field.partition("__")
        if leaf:
            base.setdefault(parent, {})[leaf] = value
        else:
            base[field] = value
    return TrainConfig.model_validate(base)


def run(config: TrainConfig, data: Split | None = None) -> tuple[list[EpochRecord], TestRecord | None]:
    epochs, test = [], None
    for record in train(config, data or make_split()):
        if isinstance(record, EpochRecord):
            epochs.append(record)
        else:
            test = record
    return epochs, test


def numbers(epochs: list[EpochRecord]) -> list[tuple[float, ...]]:
    return [(e.lr, e.train_loss, e.train_acc, e.val_loss, e.val_acc) for e in epochs]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_what_can_be_learnt(precision: str) -> None:
    epochs, test = run(make_config(precision=precision, epochs=5, optimizer__lr=0.01))
    assert test is not None
    assert test.acc > 0.8  # it comes to 1 on every seed that was tried, and chance is a third
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_same_config_gives_the_same_bits_whatever_the_process_did_before() -> None:
    first, first_test = run(make_config())
    torch.manual_seed(999)
    torch.rand(17)
    np.random.rand(3)
    second, second_test = run(make_config())
    assert numbers(first) == numbers(second)
    assert first_test is not None and second_test is not None
    assert first_test.true_prob.tobytes() == second_test.true_prob.tobytes()


def test_same_config_gives_the_same_bits_in_a_fresh_process() -> None:
    code = (
        "from tests.cifar_models.test_train import *;"
        "print([e.hex() for n in numbers(run(make_config())[0]) for e in n])"
    )
    here = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    expected = str([e.hex() for n in numbers(run(make_config())[0]) for e in n])
    assert here.strip() == expected


def test_another_seed_gives_other_numbers() -> None:
    assert numbers(run(make_config(seed=1))[0]) != numbers(run(make_config(seed=2))[0])


def test_golden_numbers_force_a_new_training_version() -> None:
    """If this fails, what a configuration computes has changed: raise TRAINING_VERSION, and write golden.json anew.

    To write it: `python -m tests.cifar_models.test_train`.
    """
    golden = json.loads(GOLDEN.read_text())
    assert golden["training_version"] == TRAINING_VERSION
    measured = golden_numbers()
    for name, expected in golden["numbers"].items():
        rtol = 2e-2 if name == "published" else 2e-3
        np.testing.assert_allclose(measured[name], expected, rtol=rtol, err_msg=name)


def test_numbers_too_small_for_a_processor_are_zero_while_it_trains_and_no_longer() -> None:
    small = torch.tensor([1e-30])
    seen: list[float] = []

    class Seeing(torch.nn.Module):
        def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
            seen.append((small * 1e-10).item())
            return x_BCHW.mean((1, 2, 3))[:, None].expand(-1, 3)

    data, config = make_split(), make_config()
    state = start(config, data)
    state.model = Seeing()
    images = DeviceImages(data.test_images, data.test_labels, torch.device("cpu"))
    predict(state, images, config)
    assert set(seen) == {0.0}
    assert (small * 1e-10).item() > 0


EVERY_CHANGE: dict[str, Any] = {f"augmentation__{name}": 0.5 for name in ("color_jitter", "rotation", "flip")}
# plain steps, since AdaGrad's first ones grow the differences between machines beyond the tolerance
EVERY_CHANGE |= {"augmentation__crop_padding": 4, "optimizer__name": "sgd", "optimizer__lr": 0.03}


def golden_numbers() -> dict[str, list[float]]:
    """Losses of two epochs for several optimizers, each schedule, penalty and augmentation.

    Other threads or another kind of CPU add in another order, which the second epoch already shows in the fourth digit.
    """
    variants: dict[str, dict[str, Any]] = {
        name: {"optimizer__name": name} for name in ("sgd", "sgd_momentum", "adagrad", "adam", "adamw")
    }
    variants |= {name: {"optimizer__schedule": name} for name in ("cosine", "one_cycle")}
    variants |= {
        "l1": {"optimizer__l1": 0.001},
        "plain": {"model__skip": False},
        "no_norm": {"model__batch_norm": False},
        "stochastic_depth": {"model__survival": 0.5},
        "in_place": EVERY_CHANGE,
        "added": EVERY_CHANGE | {"augmentation__mode": "added"},
        # of a deep network a plain step only, as differences grow with depth and with every step
        "published": {"model": {"architecture": "efficientnet_lite0"}, "optimizer__name": "sgd", "epochs": 1},
    }
    numbers = {}
    for name, changes in variants.items():
        epochs, test = run(make_config(**{"epochs": 2, "optimizer__lr": 0.003, **changes}))
        assert test is not None
        numbers[name] = [*(loss for e in epochs for loss in (e.train_loss, e.val_loss)), test.loss]
    return numbers


def test_a_rate_that_is_far_too_large_diverges_and_ends_there_without_test() -> None:
    epochs, test = run(make_config(optimizer__name="sgd", optimizer__lr=1e30, epochs=5))
    assert epochs[-1].diverged
    assert len(epochs) < 5
    assert test is None


def test_the_test_set_is_judged_after_the_last_epoch_image_by_image() -> None:
    data = make_split()
    records = list(train(make_config(), data))
    assert [type(r).__name__ for r in records] == ["EpochRecord"] * 3 + ["TestRecord"]
    test = records[-1]
    assert isinstance(test, TestRecord)
    assert test.label.tolist() == data.test_labels.tolist()
    assert test.acc == pytest.approx(np.mean(test.predicted == test.label))
    assert test.loss == pytest.approx(np.mean(-np.log(test.true_prob.astype(float))), rel=0.01)
    assert (test.predicted.dtype, test.true_prob.dtype, test.predicted_prob.dtype) == (np.uint8, np.float16, np.float16)
    is_right = test.predicted == test.label
    np.testing.assert_array_equal(test.predicted_prob[is_right], test.true_prob[is_right])
    assert (test.predicted_prob >= test.true_prob).all()
    assert (test.predicted_prob > 1 / 3).all()


def test_labels_of_validation_and_test_do_not_touch_training() -> None:
    data = make_split()
    shuffled = Split(
        data.train_images, data.train_labels, data.val_images, np.roll(data.val_labels, 1),
        data.test_images, np.roll(data.test_labels, 1), 3,
    )  # fmt: skip
    before, after = run(make_config())[0], run(make_config(), shuffled)[0]
    assert [e.train_loss for e in before] == [e.train_loss for e in after]


class WaitCounter(TorchDispatchMode):
    """Counts what would make the processor wait for a GPU: to read a value, or a shape that hangs on values."""

    num_waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.num_waits += func.__name__.partition(".")[0] in ("_local_scalar_dense", "nonzero", "masked_select")
        return func(*args, **kwargs or {})


def epoch_of(num_steps: int, device: torch.device, optimizer: str) -> Callable[[], object]:
    """An epoch in which everything happens that can, but for stochastic depth, which draws on the CPU."""
    config = make_config(**EVERY_CHANGE | {"optimizer__name": optimizer, "optimizer__l1": 0.1})
    data = make_split(num_train=16 * num_steps)
    state = start(config, data, device)
    images = DeviceImages(data.train_images, data.train_labels, device)
    return lambda: train_epoch(config, state, images, stream=1)


def test_an_epoch_reads_as_few_values_however_many_steps_it_has() -> None:
    waits = []
    for num_steps in (1, 4):
        epoch = epoch_of(num_steps, torch.device("cpu"), "sgd")  # on a CPU others read the number of the step
        with WaitCounter() as counter:
            epoch()
        waits.append(counter.num_waits)
    assert waits == [2, 2]  # loss and accuracy


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that one could wait for")
@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_an_epoch_waits_for_the_gpu_as_often_however_many_steps_it_has(optimizer: str) -> None:
    waits = []
    for num_steps in (1, 4):
        epoch = epoch_of(num_steps, torch.device("cuda"), optimizer)
        epoch()  # the first loads libraries
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                epoch()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchronizing CUDA operation" in str(warning.message) for warning in caught))
    assert waits == [2, 2]


@pytest.mark.parametrize(("mode", "num_steps"), [("in_place", 3), ("added", 6)])
def test_every_full_batch_of_an_epoch_is_a_step_and_the_rest_is_left_out(
    monkeypatch: pytest.MonkeyPatch, mode: str, num_steps: int
) -> None:
    steps: list[int] = []
    original = torch.optim.Adagrad.step

    def counted(self: torch.optim.Adagrad, *args: Any) -> Any:
        steps.append(1)
        return original(self, *args)

    monkeypatch.setattr(torch.optim.Adagrad, "step", counted)
    # 50 images in batches of 16; with a changed copy of each added there are 100
    config = make_config(epochs=2, augmentation__mode=mode, augmentation__flip=0.5)
    run(config, make_split(num_train=50))
    assert len(steps) == 2 * num_steps


def test_l1_shrinks_the_weights_and_is_not_in_the_reported_loss() -> None:
    free, penalised = run(make_config(epochs=1))[0], run(make_config(epochs=1, optimizer__l1=100.0))[0]
    # the penalty itself would be in the thousands
    assert penalised[0].train_loss < 50 * math.log(3)
    assert penalised[0].train_loss != free[0].train_loss


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(DataError, match="batch_size 128 is more than the 96 training images"):
        run(make_config(batch_size=128))


def test_first_step_is_that_of_a_plain_loop() -> None:
    """One SGD step of `train`, against the same written out with torch alone."""
    data = make_split(num_train=16)
    config = make_config(
        epochs=1, batch_size=16, model__dropout=0.0, model__batch_norm=False, channels_last=False,
        optimizer__name="sgd", optimizer__lr=0.1, optimizer__weight_decay=0.0,
    )  # fmt: skip
    epochs, test = run(config, data)
    from cifar_models.train import random_stream

    torch.manual_seed(random_stream(config.seed, 0))
    model = build_model(config.model, 3)
    x = torch.tensor(data.train_images).float()
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True, unbiased=False)
    loss = torch.nn.functional.cross_entropy(model((x - mean) / std), torch.tensor(data.train_labels))
    loss.backward()
    assert epochs[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
        logits = model((torch.tensor(data.test_images).float() - mean) / std)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(data.test_labels)).item()
    assert test is not None
    assert test.loss == pytest.approx(expected, rel=1e-4)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"training_version": TRAINING_VERSION, "numbers": golden_numbers()}, indent=1) + "\n")
