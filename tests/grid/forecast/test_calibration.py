import subprocess
import sys
import time
from typing import Any

import pytest
import torch

from cifar_models.checkpoint import pack_state
from cifar_models.config import TrainConfig
from cifar_models.data import split
from cifar_models.device import prepare_process
from cifar_models.optimizers import RULES
from cifar_models.train import start, train, train_epoch
from grid.forecast import calibration
from grid.forecast.calibration import TIMING, calibrate, mean_of, measure_sizes, seconds_an_image, time_workload
from grid.forecast.estimate import checkpoint_bytes
from grid.forecast.speeds import ImageCounts, Range, Speed, epoch_s, workload_of
from tests.grid.execution.small_runs import DATASET, small_config

CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def workload(**settings: Any) -> TrainConfig:
    return workload_of(TrainConfig.model_validate({"batch_size": 16, "precision": "fp32", **settings}))


SMALL, LARGE = workload(model={"filters": [4]}), workload(model={"filters": [32]})
TOO_LARGE = workload(model={"filters": [16384]})  # 10 GB a convolution


def test_a_step_is_extrapolated_from_two_smaller_ones() -> None:
    def step_s(num_images: int) -> float:
        return 0.5 + 0.02 * num_images

    found = seconds_an_image(256, (8, step_s(8)), (32, step_s(32)))
    assert found == pytest.approx(step_s(256) / 256)


def test_a_step_of_the_whole_batch_is_taken_as_it_is() -> None:
    assert seconds_an_image(32, (8, 100.0), (32, 6.4)) == pytest.approx(0.2)


@pytest.mark.parametrize("few_s", [0.0, 100.0])
def test_noise_never_makes_a_larger_step_faster_or_an_image_slower(few_s: float) -> None:
    assert 3.2 / 256 <= seconds_an_image(256, (8, few_s), (32, 3.2)) <= 3.2 / 32


def test_a_range_holds_the_means_and_two_standard_errors() -> None:
    timings = [Range(0.9, 2.0), Range(1.0, 4.0), Range(1.1, 6.0), *[Range(1.0, 4.0)] * 6]
    error_low, error_high = 0.05 / 3, 1.0 / 3  # deviations 0.05 and 1, of nine
    assert mean_of(timings) == pytest.approx((1.0 - 2 * error_low, 4.0 + 2 * error_high))


def test_a_single_timing_is_its_own_range() -> None:
    assert mean_of([Range(1.0, 2.0)]) == (1.0, 2.0)


@pytest.mark.slow
def test_every_kind_is_timed_in_processes_of_their_own_and_a_wider_network_is_slower() -> None:
    found = calibrate([SMALL, LARGE], num_threads=1, num_at_once=2)
    speeds = {workload: speed for workload, speed in found.items() if isinstance(speed, Speed)}
    assert speeds[LARGE].train_s.low > 2 * speeds[SMALL].train_s.low > 0
    for speed in speeds.values():
        assert 0 < speed.eval_s.low < speed.train_s.low <= speed.train_s.high


@pytest.mark.slow
def test_the_fast_end_foretells_an_epoch_that_has_the_processor_to_itself() -> None:
    prepare_process(num_threads=1)
    config, data = small_config(epochs=3, filters=16), split(DATASET, small_config().data)
    counts = ImageCounts(train=len(data.train_labels), val=len(data.val_labels), test=len(data.test_labels))
    foretold_s = epoch_s(config, counts, time_workload(workload_of(config), CPU, budget_s=1, step_s=1)).low
    epochs = train(config, data, CPU)
    next(epochs)
    started = time.thread_time()
    next(epochs)
    took_s = time.thread_time() - started  # of the processor, whose caches others may use, too
    assert 0.25 < foretold_s / took_s < 4


def test_the_first_step_of_a_size_is_slower_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = set[int]()

    def slow_at_first(config: TrainConfig, *rest: Any, **more: Any) -> Any:
        until = time.thread_time() + (0.4 if config.batch_size not in sizes else 0)
        sizes.add(config.batch_size)
        while time.thread_time() < until:
            pass
        return train_epoch(config, *rest, **more)

    monkeypatch.setattr(calibration, "train_epoch", slow_at_first)
    assert time_workload(SMALL, CPU, budget_s=0, step_s=1).train_s.low * SMALL.batch_size < 0.2


@without_gpu
@pytest.mark.slow
def test_a_network_that_memory_does_not_hold_is_named_and_the_others_are_timed() -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 9000000 && exec "$0" -m grid.forecast.calibration 1', sys.executable],
        input="\n".join(each.model_dump_json() for each in (TOO_LARGE, SMALL)),
        capture_output=True,
        text=True,
    )
    too_large, small = (TIMING.validate_json(line) for line in done.stdout.splitlines())
    assert "can't allocate memory" in str(too_large.found)
    assert isinstance(small.found, Speed)


def test_a_process_that_takes_too_long_leaves_its_kinds_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PATIENCE_S", 0.1)
    assert calibrate([SMALL]) == {SMALL: "not timed within 0 s"}


def test_a_process_that_fails_leaves_its_kinds_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    assert calibrate([SMALL], num_at_once=2) == {SMALL: "its process was killed, perhaps as memory ran out"}


@without_gpu
def test_a_machine_without_a_gpu_says_so() -> None:
    assert calibrate([SMALL], on_gpu=True) == {SMALL: "this machine has no GPU to time them on"}


def test_no_kinds_need_no_process() -> None:
    assert calibrate([], num_at_once=2) == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_checkpoint_is_as_large_as_foretold(rule: str) -> None:
    config = small_config(epochs=1, filters=16)
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"name": rule})})
    data = split(DATASET, config.data)
    state = start(config, data, CPU)
    next(train(config, data, CPU, state=state))
    sizes = measure_sizes([workload_of(config)])
    header = 20_000  # names and shapes
    assert 0 <= len(pack_state(state, {})) - checkpoint_bytes(config, sizes) < header


def test_what_a_frozen_network_trains_is_its_last_layer() -> None:
    model = {"architecture": "resnet50", "weights": "imagenet", "trainable": "last_layer"}
    frozen = workload(model=model, optimizer={"name": "adam"})
    assert measure_sizes([frozen])[frozen].states == 2 * (2048 * 10 + 10)
