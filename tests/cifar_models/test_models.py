import pytest
import torch
from torch import nn

from cifar_models.config import ResidualCNNConfig
from cifar_models.models import build_model, count_parameters


def hand_counted_parameters(
    blocks: int, filters: int, features: int, hidden: list[int], *, skip: bool, batch_norm: bool
) -> int:
    """By arithmetic alone: weights and biases of each layer of the report's network."""
    total, channels = 0, 3
    for _ in range(blocks):
        total += channels * filters * 9 + filters  # first 3x3 convolution
        total += filters * filters * 9 + filters  # second 3x3 convolution
        total += (channels * filters + filters) if skip else 0  # 1x1 shortcut
        total += 2 * channels if batch_norm else 0  # scale and shift
        channels = filters
    for inputs, outputs in zip([features, *hidden], [*hidden, 10], strict=True):
        total += inputs * outputs + outputs
    return total


def test_final_network_has_the_hand_counted_number_of_parameters() -> None:
    # 4 blocks of 64 filters, pooled twice to 8x8, four hidden layers of 120
    expected = hand_counted_parameters(4, 64, 64 * 8 * 8, [120] * 4, skip=True, batch_norm=True)
    assert expected == 38_982 + 3 * 78_144 + 491_640 + 3 * 14_520 + 1_210
    assert count_parameters(build_model(ResidualCNNConfig(), 10)) == expected


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_switches_add_exactly_their_own_parameters(skip: bool, batch_norm: bool) -> None:
    config = ResidualCNNConfig(
        filters=(16,), layers_per_block=8, pool_every=4, hidden_layer_size=70, hidden_layer_count=2,
        skip=skip, batch_norm=batch_norm,
    )  # fmt: skip
    expected = hand_counted_parameters(8, 16, 16 * 8 * 8, [70, 70], skip=skip, batch_norm=batch_norm)
    assert count_parameters(build_model(config, 10)) == expected


def test_a_list_of_filters_gives_that_many_groups_of_blocks() -> None:
    model = build_model(ResidualCNNConfig(filters=(8, 16), layers_per_block=2, pool_every=2), 10)
    widths = [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    # per block: two 3x3 convolutions, then the shortcut
    assert widths == [8] * 6 + [16] * 6


def test_22_layers_pooled_every_4_end_at_one_pixel() -> None:
    model = build_model(ResidualCNNConfig(filters=(4,), layers_per_block=22, pool_every=4), 10)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == 5


def test_a_block_adds_its_shortcut_to_its_main_path() -> None:
    torch.manual_seed(0)
    config = ResidualCNNConfig(filters=(5,), layers_per_block=1, pool_every=1)
    block = build_model(config, 10).features[0].eval()  # type: ignore[index, union-attr]
    x = torch.randn(2, 3, 32, 32)
    leaky = torch.nn.functional.leaky_relu
    normalised = leaky(x, 0.01) / (1 + 1e-5) ** 0.5  # a fresh batch norm: mean 0, variance 1
    first, second = (m for m in block.main if isinstance(m, nn.Conv2d))
    main = second(leaky(first(normalised), 0.01))
    torch.testing.assert_close(block(x), main + block.shortcut(x))


def test_without_skip_a_block_is_its_main_path() -> None:
    config = ResidualCNNConfig(filters=(5,), layers_per_block=1, pool_every=1, skip=False)
    block = build_model(config, 10).features[0].eval()  # type: ignore[index, union-attr]
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(block(x), block.main(x))
    assert block.shortcut is None


def test_dropout_stands_between_blocks_only() -> None:
    model = build_model(ResidualCNNConfig(filters=(4,), layers_per_block=4, dropout=0.2), 10)
    kinds = [type(module).__name__ for module in model.features]  # type: ignore[union-attr]
    assert kinds == ["Block", "Dropout", "Block", "MaxPool2d", "Dropout", "Block", "Dropout", "Block", "MaxPool2d"]
