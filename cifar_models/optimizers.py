"""How weights are updated: the rule, the schedule of its rate, and the penalty on the weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from cifar_models.config import OptimizerConfig


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    """Torch's own rule of that name, with torch's defaults for whatever the configuration does not name."""
    lr, weight_decay = config.lr, config.weight_decay
    match config.name:
        case "sgd":
            return SGD(parameters, lr, weight_decay=weight_decay)
        case "sgd_momentum":
            return SGD(parameters, lr, momentum=config.momentum, weight_decay=weight_decay)
        case "adagrad":
            return Adagrad(parameters, lr, weight_decay=weight_decay)
        case "adam":
            return Adam(parameters, lr, weight_decay=weight_decay)
        case "adamw":
            return AdamW(parameters, lr, weight_decay=weight_decay)


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
