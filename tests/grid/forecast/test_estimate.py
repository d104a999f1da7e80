from typing import Any

import pytest

from cifar_models.config import DataConfig, TrainConfig
from grid.execution.resources import Share
from grid.forecast.estimate import (
    MARGIN,
    RUN_START_S,
    Capacity,
    Estimate,
    Size,
    Work,
    checkpoint_bytes,
    estimate,
    estimate_in_words,
    occupy,
)
from grid.forecast.speeds import TRIAL_START_S, ImageCounts, Range, Speed, workload_of

ADAM = TrainConfig.model_validate({"optimizer": {"name": "adam"}, "batch_size": 10, "epochs": 1})
SGD = TrainConfig.model_validate({"optimizer": {"name": "sgd"}, "batch_size": 10, "epochs": 1})
IMAGES = {DataConfig(): ImageCounts(train=100, val=0, test=0)}
SPEEDS = {
    workload_of(ADAM): Speed(train_s=Range(1.0, 2.0), eval_s=Range(0.0, 0.0)),
    workload_of(SGD): Speed(train_s=Range(3.0, 4.0), eval_s=Range(0.0, 0.0)),
}
CPU = Share(cpus=1, gpus=0)
SIZES = {workload_of(ADAM): Size(weights=1000, states=200), workload_of(SGD): Size(weights=1000, states=0)}


def works(*shares: tuple[float, float]) -> list[Work]:
    return [Work(ADAM, Share(cpus=cpus, gpus=gpus)) for cpus, gpus in shares]


def ends(seconds: list[float], shares: list[tuple[float, float]], **capacity: Any) -> tuple[float, int]:
    return occupy(list(zip(works(*shares), seconds, strict=True)), Capacity(**capacity))


def test_a_trial_starts_when_the_first_one_before_it_ends() -> None:
    assert ends([5, 2, 2, 4], [(1, 0)] * 4, cpus=2) == (8, 2)  # 0-5, 0-2, 2-4, 4-8


def test_four_trials_share_a_gpu() -> None:
    assert ends([1] * 8, [(1, 0.25)] * 8, cpus=64, gpus=1) == (2, 4)


def test_thirds_of_a_gpu_add_up_to_a_whole_one() -> None:
    assert ends([1] * 9, [(0, 1 / 3)] * 9, cpus=1, gpus=1) == (3, 3)


def test_a_large_trial_waits_until_enough_is_free() -> None:
    assert ends([3, 1, 2, 1], [(1, 0), (1, 0), (2, 0), (1, 0)], cpus=2) == (6, 2)  # 0-3, 0-1, 3-5, 5-6


def test_the_most_trials_at_once_are_kept_to() -> None:
    assert ends([1] * 4, [(1, 0)] * 4, cpus=8, max_trials=1) == (4, 1)


def test_no_trials_take_no_time() -> None:
    assert ends([], [], cpus=2) == (0, 0)


def of(*planned: Work, cpus: float = 2, gpus: float = 0) -> Estimate:
    return estimate(planned, IMAGES, SPEEDS, SIZES, Capacity(cpus=cpus, gpus=gpus))


def test_wall_time_is_that_of_the_slots_and_the_start_of_the_run() -> None:
    found = of(*[Work(ADAM, CPU)] * 3, Work(SGD, CPU))
    adam_s, sgd_s = ((100 * s + TRIAL_START_S.low) * (1 - MARGIN) for s in (1, 3))
    assert found.wall_s.low == pytest.approx(RUN_START_S.low + adam_s + sgd_s)  # two at once, then one beside the long
    assert found.trial_s.low == pytest.approx(3 * adam_s + sgd_s)
    assert found.wall_s.high == pytest.approx(RUN_START_S.high + (600 + 2 * TRIAL_START_S.high) * (1 + MARGIN))
    assert (found.at_once, found.num_trials, found.gpu_s) == (2, 4, (0, 0))


def test_gpu_hours_are_of_the_share_that_a_trial_occupies() -> None:
    found = of(*[Work(ADAM, Share(cpus=1, gpus=0.5))] * 4, cpus=8, gpus=1)
    assert found.gpu_hours == pytest.approx((found.trial_s.low / 7200, found.trial_s.high / 7200))


def test_a_checkpoint_is_the_weights_and_what_the_optimizer_keeps_of_the_trained_ones() -> None:
    assert checkpoint_bytes(ADAM, SIZES) == 4 * (1000 + 200)
    assert checkpoint_bytes(SGD, SIZES) == 4 * 1000


def test_only_trials_at_once_have_checkpoints_at_once_but_all_have_weights() -> None:
    found = of(*[Work(SGD, CPU)] * 5, Work(ADAM, CPU))
    assert (found.checkpoint_bytes, found.weights_bytes) == (4800 + 4000, 6 * 4000)


def test_states_are_kept_of_all_trials_that_a_longer_training_can_go_on_from() -> None:
    cosine = ADAM.model_copy(update={"optimizer": ADAM.optimizer.model_copy(update={"schedule": "cosine"})})
    sizes = SIZES | {workload_of(cosine): SIZES[workload_of(ADAM)]}
    planned = [Work(config, CPU) for config in (ADAM, cosine, SGD, ADAM)]
    found = estimate(planned, IMAGES, SPEEDS, sizes, Capacity(cpus=2))
    assert found.states_bytes == 4800 + 4000 + 4800


def test_trials_whose_time_is_not_known_are_named_with_the_reason() -> None:
    speeds: dict[TrainConfig, Speed | str] = {
        workload_of(ADAM): SPEEDS[workload_of(ADAM)],
        workload_of(SGD): "out of memory",
    }
    planned = [Work(ADAM, CPU), Work(SGD, CPU), Work(SGD, CPU)]
    found = estimate(planned, IMAGES, speeds, SIZES, Capacity(cpus=2))
    assert (found.num_trials, found.unknown) == (1, {"out of memory": 2})
    lines = "\n".join(estimate_in_words(found))
    assert "Wall time of 1 trial: " in lines
    assert "Time of 2 trials: not known, out of memory" in lines


def test_nothing_is_said_of_time_if_none_is_known() -> None:
    lines = estimate_in_words(estimate([Work(ADAM, CPU)], IMAGES, {}, {}, Capacity(cpus=2)), price=1)
    assert not any("Wall time" in line or "GPU hours" in line or "Cost" in line for line in lines)


def test_the_words_give_both_ends_the_cost_and_the_bytes() -> None:
    found = Estimate(
        num_trials=4,
        unknown={},
        at_once=2,
        wall_s=Range(90, 3700),
        trial_s=Range(7200, 14400),
        gpu_s=Range(3600, 7200),
        checkpoint_bytes=2_500_000,
        weights_bytes=1_000,
        states_bytes=7_500_000,
    )
    assert estimate_in_words(found, price=2.5, keeps_weights=True, keeps_states=True) == [
        "Trials at once: 2",
        "Wall time: 1 min 30 s to 1 h 1 min with GPUs like this machine's",
        "Trial hours: 2.00 to 4.00",
        "GPU hours: 1.00 to 2.00",
        "Cost: 2.50 to 5.00 at 2.5 a GPU hour; idle GPUs cost as much",
        "Checkpoints: 2.5 MB, one of each trial under way",
        "Final weights: 1.0 kB",
        "Kept states: 7.5 MB, beside the checkpoints",
    ]


def test_a_run_that_trains_nothing_has_no_words() -> None:
    assert estimate_in_words(of()) == []
