"""How weights are updated: the rule, the schedule of its rate, and the penalty on the weights."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from cifar_models.config import OptimizerConfig, OptimizerName

Parameters = Iterable[nn.Parameter]


class Rule(NamedTuple):
    """A rule by which weights are updated.

    Attributes:
        build: Torch's own, which takes what it updates, `lr` and `weight_decay`; its defaults hold for whatever is not
            given.
        num_states: Numbers that it keeps for a weight, beside the weight.
        reads: Further fields of `OptimizerConfig` that it takes, by the same names.
    """

    build: Callable[..., Optimizer]
    num_states: int
    reads: tuple[str, ...] = ()


RULES: dict[OptimizerName, Rule] = {
    "sgd": Rule(SGD, num_states=0),
    "sgd_momentum": Rule(SGD, num_states=1, reads=("momentum",)),
    "adagrad": Rule(Adagrad, num_states=1),
    "adam": Rule(Adam, num_states=2),
    "adamw": Rule(AdamW, num_states=2),
}
"""Every rule, by its name in `OptimizerConfig`."""


def build_optimizer(parameters: Parameters, config: OptimizerConfig) -> Optimizer:
    """Torch's own rule of that name."""
    rule = RULES[config.name]
    further = {name: getattr(config, name) for name in rule.reads}
    return rule.build(parameters, lr=config.lr, weight_decay=config.weight_decay, **further)


def build_schedule(optimizer: Optimizer, config: OptimizerConfig, num_steps: int) -> LRScheduler:
    """The learning rate at each of `num_steps` steps; to be advanced after each one.

    `cosine` falls from `lr` to 0 (Loshchilov and Hutter 2016, without restarts); `one_cycle` rises from
    lr/25 to `lr` over the first 30 % and falls to almost 0 (Smith and Topin 2017; torch's defaults), and
    leaves momentum alone.
    """
    match config.schedule:
        case "constant":
            return LambdaLR(optimizer, lambda step: 1.0)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=num_steps)
        case "one_cycle":
            # one step more than there are: torch refuses to be advanced past the end, even unused
            return OneCycleLR(optimizer, max_lr=config.lr, total_steps=num_steps + 1, cycle_momentum=False)


def l1_penalty(parameters: Iterable[Tensor], factor: float) -> Tensor:
    """`factor` times the sum of absolute values of all parameters, a scalar."""
    return factor * torch.stack([parameter.abs().sum() for parameter in parameters]).sum()
