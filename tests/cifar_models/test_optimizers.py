"""Each rule against its published formula, worked in plain Python over three steps."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from cifar_models.config import OptimizerConfig, OptimizerName
from cifar_models.optimizers import RULES, build_optimizer, build_schedule, l1_penalty

GRADIENTS = [0.5, -0.25, 1.0]
START, LR, DECAY = 2.0, 0.1, 0.01


def sgd() -> float:
    w = START
    for g in GRADIENTS:
        w -= LR * (g + DECAY * w)
    return w


def sgd_momentum() -> float:
    """Sutskever et al. 2013 in torch's form: the velocity gathers gradients, the rate multiplies it."""
    w, velocity = START, 0.0
    for g in GRADIENTS:
        velocity = 0.9 * velocity + g + DECAY * w
        w -= LR * velocity
    return w


def adagrad() -> float:
    """Duchi et al. 2011."""
    w, squares = START, 0.0
    for g in GRADIENTS:
        g += DECAY * w
        squares += g * g
        w -= LR * g / (math.sqrt(squares) + 1e-10)
    return w


def adam(decoupled: bool = False) -> float:
    """Kingma and Ba 2014, algorithm 1; decoupled: Loshchilov and Hutter 2017, algorithm 2."""
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        if decoupled:
            w -= LR * DECAY * w
        else:
            g += DECAY * w
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w -= LR * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


BY_HAND: dict[OptimizerName, Callable[[], float]] = {
    "sgd": sgd,
    "sgd_momentum": sgd_momentum,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": lambda: adam(decoupled=True),
}


@pytest.mark.parametrize("name", RULES)
def test_three_steps_are_the_published_rule(name: OptimizerName) -> None:
    weight = nn.Parameter(torch.tensor(START, dtype=torch.float64))
    config = OptimizerConfig.model_validate({"name": name, "lr": LR, "weight_decay": DECAY})
    optimizer = build_optimizer([weight], config)
    for gradient in GRADIENTS:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    assert weight.item() == pytest.approx(BY_HAND[name](), rel=1e-9)


def rates(schedule: str, num_steps: int) -> list[float]:
    config = OptimizerConfig.model_validate({"name": "sgd", "lr": 0.4, "schedule": schedule})
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], config)
    scheduler = build_schedule(optimizer, config, num_steps)
    seen = []
    for _ in range(num_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_constant_rate_stays() -> None:
    assert rates("constant", 5) == [0.4] * 5


def test_cosine_rate_is_half_a_cosine() -> None:
    expected = [0.4 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert rates("cosine", 8) == pytest.approx(expected)


def test_one_cycle_rises_to_the_rate_and_falls_to_almost_nothing() -> None:
    seen = rates("one_cycle", 100)
    assert seen[0] == pytest.approx(0.4 / 25)
    assert max(seen) == pytest.approx(0.4, rel=0.01)
    assert 25 <= seen.index(max(seen)) <= 35
    assert seen[-1] < 0.4 / 500


def test_l1_is_the_factor_times_the_sum_of_absolute_values() -> None:
    parameters = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([[0.5], [-4.0]]))]
    penalty = l1_penalty(parameters, 0.1)
    penalty.backward()
    assert penalty.item() == pytest.approx(0.75)
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == pytest.approx([0.1, -0.1])
