"""Everything that a configuration or a question can name has its row, and there is no row that nothing names."""

from typing import Any, get_args

import pytest
import torch
from torch import nn

from cifar_models.config import (
    Architecture,
    DatasetName,
    OptimizerConfig,
    OptimizerName,
    PublishedConfig,
    PublishedName,
    ResidualCNNConfig,
)
from cifar_models.data import SOURCES
from cifar_models.models import build_model
from cifar_models.optimizers import RULES, build_optimizer
from cifar_models.published import FAMILIES
from cifar_models.records import EpochRecord
from grid.analysis.hypotheses import HYPOTHESES
from grid.questions.claims import KINDS, Claim
from grid.questions.measures import CURVES, MEASURES, CurveName, FinalName
from grid.records.ledger import TrialRecord
from grid.records.status import STATUSES, Status
from grid.tables.schemas import EPOCHS, TRIALS


@pytest.mark.parametrize(
    ("named", "rows"),
    [
        (OptimizerName, RULES),
        (PublishedName, FAMILIES),
        (DatasetName, SOURCES),
    ],
)
def test_every_name_has_its_row_in_the_same_order(named: Any, rows: dict[str, Any]) -> None:
    assert get_args(named) == tuple(rows)


def test_every_way_a_trial_ends_has_its_row_and_so_has_one_that_was_not_run() -> None:
    assert (*get_args(Status), "not_run") == tuple(STATUSES)
    assert TrialRecord.model_fields["status"].annotation == Status


@pytest.mark.parametrize("name", RULES)
def test_a_rule_keeps_as_many_numbers_a_weight_as_its_row_says(name: OptimizerName) -> None:
    weight = nn.Parameter(torch.ones(7))
    optimizer = build_optimizer([weight], OptimizerConfig(name=name))
    weight.grad = torch.ones(7)
    optimizer.step()
    kept = [value for value in optimizer.state[weight].values() if value is not None and value.numel() == 7]
    assert len(kept) == RULES[name].num_states


@pytest.mark.parametrize("name", get_args(Architecture))
def test_an_architecture_can_be_built_and_a_published_one_has_weights_and_a_last_layer(name: Any) -> None:
    config = ResidualCNNConfig() if name == "residual_cnn" else PublishedConfig(architecture=name)
    with torch.device("meta"):
        model = build_model(config, num_classes=7)
    if name != "residual_cnn":
        last = model.get_submodule(f"network.{FAMILIES[name].last_layer}")
        assert isinstance(last, nn.Linear) and last.out_features == 7
        assert int(FAMILIES[name].weights.sha256_prefix, 16)


def test_measures_are_the_columns_of_the_tables() -> None:
    assert [name for name in TRIALS.names if name in MEASURES] == list(MEASURES)
    assert [name for name in EPOCHS.names if name in MEASURES] == list(CURVES)
    assert set(CURVES) == EpochRecord.model_fields.keys() - {"epoch", "lr", "wall_s"}


def test_claims_are_about_measures_that_there_are() -> None:
    assert set(get_args(CurveName)) == set(CURVES)
    assert all(MEASURES[name].is_summarised for name in get_args(FinalName))


def test_every_kind_of_claims_is_tested_in_some_way() -> None:
    assert set(KINDS.values()) == HYPOTHESES.keys()
    assert KINDS.keys() == Claim.model_fields.keys() - {"name", "says", "source", "only_at"}
