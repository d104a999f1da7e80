import pytest
import torch
from torch import Tensor

from cifar_models.config import ResidualCNNConfig
from cifar_models.models import Block, ResidualCNN, survival_rates


def make_block(survival: float, *, batch_norm: bool = False) -> Block:
    torch.manual_seed(0)
    return Block(2, 2, ResidualCNNConfig(filters=(2,), batch_norm=batch_norm, survival=survival), survival)


def test_survival_falls_linearly_to_the_last_block() -> None:
    # the paper's own setting, a last survival of 0.5, on four blocks: 1 - l/4 * 0.5
    assert survival_rates(4, 0.5) == [0.875, 0.75, 0.625, 0.5]
    assert survival_rates(1, 0.25) == [0.25]
    assert survival_rates(3, 1.0) == [1.0, 1.0, 1.0]


def test_blocks_have_the_rates_of_their_depth() -> None:
    model = ResidualCNN(ResidualCNNConfig(filters=(4, 8), layers_per_block=2, survival=0.5), 10)
    blocks = [module for module in model.features if isinstance(module, Block)]
    assert [block.survival for block in blocks] == [0.875, 0.75, 0.625, 0.5]


@torch.no_grad()
def test_a_training_step_has_the_whole_main_path_or_none_of_it_for_all_images() -> None:
    block = make_block(0.7).train()
    x = torch.randn(3, 2, 1, 1)
    shortcut = block.shortcut(x)  # type: ignore[misc]
    kept, dropped = shortcut + block.main(x), shortcut
    num_kept, num_draws = 0, 1000
    for _ in range(num_draws):
        y = block(x)
        assert torch.equal(y, kept) or torch.equal(y, dropped)
        num_kept += torch.equal(y, kept)
    deviation = (num_draws * 0.7 * 0.3) ** 0.5  # binomial
    assert abs(num_kept - num_draws * 0.7) < 4 * deviation


@torch.no_grad()
def test_evaluation_gives_the_expectation_of_training_and_draws_nothing() -> None:
    block = make_block(0.7).eval()
    x = torch.randn(3, 2, 4, 4)
    before = torch.get_rng_state()
    y = block(x)
    assert torch.equal(torch.get_rng_state(), before)
    kept, dropped = block.main(x) + block.shortcut(x), block.shortcut(x)  # type: ignore[misc]
    torch.testing.assert_close(y, 0.7 * kept + 0.3 * dropped)


def test_a_dropped_block_has_no_gradient_in_its_main_path_and_keeps_its_statistics() -> None:
    block = make_block(1e-9, batch_norm=True).train()
    before = [buffer.clone() for buffer in block.buffers()]
    block(torch.randn(3, 2, 4, 4)).sum().backward()
    assert all(parameter.grad is None for parameter in block.main.parameters())
    assert all(parameter.grad is not None for parameter in block.shortcut.parameters())  # type: ignore[union-attr]
    assert all(torch.equal(old, new) for old, new in zip(before, block.buffers(), strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_survival_of_one_draws_nothing_and_changes_nothing(training: bool) -> None:
    block = make_block(1.0, batch_norm=True).train(training)
    x = torch.randn(3, 2, 4, 4)
    before = torch.get_rng_state()
    y = block(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(y, block.main(x) + block.shortcut(x))  # type: ignore[misc]


def test_a_seed_fixes_what_is_dropped() -> None:
    def outputs(seed: int) -> Tensor:
        block, x = make_block(0.5).train(), torch.ones(1, 2, 4, 4)
        torch.manual_seed(seed)
        return torch.stack([block(x) for _ in range(20)])

    assert torch.equal(outputs(1), outputs(1))
    assert not torch.equal(outputs(1), outputs(2))
