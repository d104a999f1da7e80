from typing import Any

import pytest

from cifar_models.config import DataConfig, TrainConfig
from cifar_models.records import EpochRecord
from grid.forecast.speeds import ImageCounts, Range, Speed, epoch_s, speeds_of_trained, spread, trial_s, workload_of
from grid.records.ledger import TrialRecord

COUNTS = ImageCounts(train=100, val=30, test=60)
SPEED = Speed(train_s=Range(0.01, 0.02), eval_s=Range(0.002, 0.005))


def config(**settings: Any) -> TrainConfig:
    return TrainConfig.model_validate({"batch_size": 32, "epochs": 2, **settings})


def trained(wall_s: list[float], machine: str = "here", num_train: int = 100, **settings: Any) -> TrialRecord:
    epochs = [
        EpochRecord(epoch=i, lr=0.1, train_loss=1, train_acc=0.5, val_loss=1, val_acc=0.5, wall_s=seconds)
        for i, seconds in enumerate(wall_s, 1)
    ]
    return TrialRecord(
        fingerprint="0" * 24,
        status="stopped",
        reason="for a test",
        config=config(**settings),
        data_fingerprint="d",
        training_version=1,
        epochs=tuple(epochs),
        num_train=num_train,
        started="2025-01-01T00:00:00+00:00",
        wall_s=sum(wall_s),
        machine=machine,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 5},
        {"epochs": 9},
        {"data": {"name": "digits", "train_size": 50}},
        {"optimizer": {"lr": 0.1, "weight_decay": 0.3, "schedule": "cosine"}},
        {"model": {"dropout": 0.4, "negative_slope": 0.2}},
    ],
)
def test_what_does_not_change_the_time_of_an_image_makes_no_workload_of_its_own(settings: dict[str, Any]) -> None:
    assert workload_of(config(**settings)) == workload_of(config())


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 64},
        {"precision": "fp32"},
        {"channels_last": False},
        {"model": {"filters": [32]}},
        {"model": {"dropout": 0}},
        {"model": {"survival": 0.5}},
        {"optimizer": {"name": "adam"}},
        {"optimizer": {"l1": 0.1}},
        {"optimizer": {"weight_decay": 0}},
        {"augmentation": {"color_jitter": 0.3}},
        {"augmentation": {"flip": 0.3}},
    ],
)
def test_what_changes_the_time_of_an_image_makes_another_kind(settings: dict[str, Any]) -> None:
    assert workload_of(config(**settings)) != workload_of(config())


def test_images_that_are_moved_cost_the_same_however_they_are() -> None:
    assert len({workload_of(config(augmentation={name: 1})) for name in ("flip", "rotation", "crop_padding")}) == 1


@pytest.mark.parametrize("trainable", ["all", "last_layer"])
def test_a_kind_is_a_configuration_that_can_be_read_again(trainable: str) -> None:
    workload = workload_of(config(model={"architecture": "resnet50", "weights": "imagenet", "trainable": trainable}))
    assert TrainConfig.model_validate_json(workload.model_dump_json()) == workload == workload_of(workload)


def test_an_epoch_is_whole_batches_and_the_validation_images() -> None:
    assert epoch_s(config(), COUNTS, SPEED) == pytest.approx((96 * 0.01 + 30 * 0.002, 96 * 0.02 + 30 * 0.005))


def test_copies_that_are_added_take_time() -> None:
    doubled = config(augmentation={"mode": "added", "flip": 0.5})
    assert epoch_s(doubled, COUNTS, SPEED).low == pytest.approx(192 * 0.01 + 30 * 0.002)


def test_a_trial_is_its_epochs_and_the_test_images_and_a_start() -> None:
    start = trial_s(config(), ImageCounts(train=0, val=0, test=0), SPEED)
    whole = trial_s(config(), COUNTS, SPEED)
    assert whole.low - start.low == pytest.approx(2 * (96 * 0.01 + 30 * 0.002) + 60 * 0.002)
    assert 0 < start.low < start.high


def test_an_epoch_takes_what_it_took_before() -> None:
    speeds = speeds_of_trained([trained([3.0, 5.0])], "here", {DataConfig(): COUNTS})
    assert epoch_s(config(), COUNTS, speeds[workload_of(config())]) == pytest.approx((4.0, 4.0))


def test_other_hardware_and_other_images_say_nothing() -> None:
    records = [
        trained([1.0], machine="elsewhere"),
        trained([1.0], num_train=99),
        trained([1.0], data={"name": "digits"}),
        trained([]),
    ]
    assert speeds_of_trained(records, "here", {DataConfig(): COUNTS}) == {}


def test_one_odd_measurement_in_ten_does_not_show() -> None:
    assert spread([0.1, *[2.0] * 5, *[3.0] * 4, 99.0]) == (2.0, 3.0)


def test_a_few_measurements_all_count() -> None:
    assert spread([3.0, 1.0]) == (1.0, 3.0)
