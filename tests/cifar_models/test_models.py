import pytest
import torch
from torch import nn

from cifar_models.config import ResidualCNNConfig
from cifar_models.models import Dropout, build_model, count_parameters


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


def dropped_share(p: float, dtype: torch.dtype = torch.float32, num_values: int = 1_000_003) -> float:
    torch.manual_seed(0)
    return float((Dropout(p)(torch.ones(num_values, dtype=dtype)) == 0).double().mean())


@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.97])
def test_dropout_zeroes_the_share_that_it_was_told(p: float) -> None:
    deviation = (p * (1 - p) / 1_000_003) ** 0.5  # binomial
    assert abs(dropped_share(p) - p) <= 4 * deviation + 2**-17


@pytest.mark.parametrize("p", [1e-9, 1 - 1e-9])
def test_dropout_of_almost_nothing_or_everything_stays_finite(p: float) -> None:
    y = Dropout(p)(torch.ones(100_000))
    assert y.isfinite().all()
    assert (y == 0).double().mean() == pytest.approx(p, abs=1e-3)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5])
def test_dropout_keeps_the_expectation_and_the_gradient_is_that_of_what_was_kept(p: float) -> None:
    x = torch.rand(64, 3, 32, 32, dtype=torch.float64).add(1).requires_grad_()
    y = Dropout(p)(x)
    y.sum().backward()
    scale = 1 / (1 - p)
    assert x.grad is not None
    torch.testing.assert_close(y, x * x.grad)
    assert set((x.grad / scale).round(decimals=3).unique().tolist()) == {0.0, 1.0}
    assert x.grad.mean().item() == pytest.approx(1, abs=4 * (p * scale / x.numel()) ** 0.5 + 2e-5)


def test_what_dropout_zeroes_is_fixed_by_the_seed_and_the_same_in_every_number_format() -> None:
    def zeros(seed: int, dtype: torch.dtype) -> torch.Tensor:
        torch.manual_seed(seed)
        dropped: torch.Tensor = Dropout(0.3)(torch.ones(7, 5, 3, 2, dtype=dtype)) == 0
        return dropped

    assert torch.equal(zeros(1, torch.float32), zeros(1, torch.bfloat16))
    assert not torch.equal(zeros(1, torch.float32), zeros(2, torch.float32))


def test_draws_of_dropout_do_not_depend_on_their_neighbours() -> None:
    torch.manual_seed(0)
    is_zero = (Dropout(0.5)(torch.ones(400_000)) == 0).double().view(-1, 8)
    correlations = torch.corrcoef(is_zero.T) - torch.eye(8)  # 64 random bits are 4 draws
    assert correlations.abs().max() < 5 / 50_000**0.5


@pytest.mark.parametrize("layout", ["channels_last", "expanded", "strided", "empty"])
def test_dropout_takes_any_memory_layout(layout: str) -> None:
    x = torch.arange(1.0, 2 * 4 * 6 * 6 + 1).view(2, 4, 6, 6)
    x = {
        "channels_last": x.to(memory_format=torch.channels_last), "expanded": x[:, :1].expand(-1, 9, -1, -1),
        "strided": x[:, :, ::2], "empty": x[:0],
    }[layout]  # fmt: skip
    y = Dropout(0.25)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y[y != 0], (x / 0.75)[y != 0])
    if layout == "channels_last":
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_dropout_changes_nothing_in_evaluation_and_draws_nothing() -> None:
    x, before = torch.rand(8), torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_stands_between_blocks_only() -> None:
    model = build_model(ResidualCNNConfig(filters=(4,), layers_per_block=4, dropout=0.2), 10)
    kinds = [type(module).__name__ for module in model.features]  # type: ignore[union-attr]
    assert kinds == ["Block", "Dropout", "Block", "MaxPool2d", "Dropout", "Block", "Dropout", "Block", "MaxPool2d"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that a network could be compiled for")
def test_compiled_for_a_gpu_a_network_computes_the_same() -> None:
    """It did not on a CPU: torch 2.14.1 compiles convolution, LeakyReLU and batch normalisation to something else."""
    x = torch.randn(32, 3, 32, 32, device="cuda")
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(build_model(ResidualCNNConfig(filters=(8,), dropout=0.0), 10).cuda())
    eager, compiled = networks
    compiled.compile()
    torch.testing.assert_close(compiled(x), eager(x), rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(compiled.buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
