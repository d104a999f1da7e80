from typing import Any

import pytest

from cifar_models.config import TrainConfig
from grid.records.fingerprint import fingerprint, lineage

DATA = "0" * 64


def configured(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(changes)


def test_trials_that_differ_in_their_epochs_alone_are_of_one_lineage() -> None:
    names = {lineage(configured(epochs=epochs), DATA) for epochs in (1, 5, 10)}
    assert len(names) == 1
    assert names.isdisjoint(fingerprint(configured(epochs=epochs), DATA) for epochs in (1, 5, 10))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"optimizer": {"lr": 0.1}}, {"data": {"train_size": 100}}])
def test_any_other_difference_makes_another_lineage(changes: dict[str, Any]) -> None:
    assert lineage(configured(**changes), DATA) != lineage(configured(), DATA)
    assert lineage(configured(), "1" * 64) != lineage(configured(), DATA)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_where_the_rate_hangs_on_the_length_there_is_no_lineage(schedule: str) -> None:
    assert lineage(configured(optimizer={"schedule": schedule}), DATA) is None
