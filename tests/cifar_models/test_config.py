from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from cifar_models.config import MAX_FACTOR, DataConfig, OptimizerConfig, OptimizerName, ResidualCNNConfig, TrainConfig
from cifar_models.optimizers import build_optimizer, l1_penalty


def test_defaults_are_the_reports_final_setting() -> None:
    config = TrainConfig()
    assert isinstance(config.model, ResidualCNNConfig)
    assert config.model.filters == (64,)
    assert (config.model.layers_per_block, config.model.pool_every) == (4, 2)
    assert (config.model.hidden_layer_count, config.model.hidden_layer_size) == (4, 120)
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay) == ("adagrad", 0.005, 0.005)
    assert (config.batch_size, config.epochs) == (256, 100)
    assert config.model.batch_norm and config.model.skip and config.optimizer.l1 == 0


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("blocks", "pool_every", "allowed"),
    [(5, 1, True), (6, 1, False), (11, 2, True), (12, 2, False), (22, 4, True), (22, 3, False)],
)
def test_pooling_may_not_shrink_an_image_below_one_pixel(blocks: int, pool_every: int, allowed: bool) -> None:
    if allowed:
        ResidualCNNConfig(layers_per_block=blocks, pool_every=pool_every)
    else:
        with pytest.raises(ValidationError, match="below one pixel; use pool_every of at least"):
            ResidualCNNConfig(layers_per_block=blocks, pool_every=pool_every)


@pytest.mark.parametrize(("blocks", "wrong"), [(6, 1), (12, 2), (22, 3), (64, 2)])
def test_the_pooling_that_the_error_proposes_works_and_is_the_least_that_does(blocks: int, wrong: int) -> None:
    with pytest.raises(ValidationError) as error:
        ResidualCNNConfig(layers_per_block=blocks, pool_every=wrong)
    proposed = int(str(error.value).split("pool_every of at least ")[1].split()[0])
    ResidualCNNConfig(layers_per_block=blocks, pool_every=proposed)
    with pytest.raises(ValidationError):
        ResidualCNNConfig(layers_per_block=blocks, pool_every=proposed - 1)


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf")])
def test_a_learning_rate_is_a_positive_number(lr: float) -> None:
    with pytest.raises(ValidationError):
        OptimizerConfig(lr=lr)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        DataConfig.model_validate({"nam": "digits"})


@pytest.mark.parametrize("name", get_args(OptimizerName))
@pytest.mark.parametrize("field", ["lr", "weight_decay", "l1"])
def test_what_a_bound_allows_can_be_trained_and_a_factor_of_ten_billion_more_is_refused(name: str, field: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    config = OptimizerConfig.model_validate({"name": name, field: MAX_FACTOR})
    optimizer = build_optimizer([parameter], config)
    (parameter.sum() + l1_penalty([parameter], config.l1)).backward()
    optimizer.step()  # whatever comes of it: a loss that is not finite is a diverged trial, not an error
    with pytest.raises(ValidationError, match="less than or equal"):
        OptimizerConfig.model_validate({"name": name, field: 1e10 * MAX_FACTOR})


def test_the_largest_slope_can_be_computed_and_more_is_refused() -> None:
    slope = ResidualCNNConfig(negative_slope=MAX_FACTOR).negative_slope
    assert torch.nn.LeakyReLU(slope)(torch.tensor(-1.0)) == pytest.approx(-MAX_FACTOR)
    with pytest.raises(ValidationError, match="less than or equal"):
        ResidualCNNConfig(negative_slope=1e10 * MAX_FACTOR)
