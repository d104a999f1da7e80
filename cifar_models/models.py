"""The networks. Shapes: B images, C channels, H rows, W columns."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_models.config import IMAGE_SIZE, ModelConfig, ResidualCNNConfig
from cifar_models.published import build_published

RGB = 3

DRAW_LEVELS = 2**16
"""Values that dropout's draw of an element has on a CPU."""


class Dropout(nn.Module):
    """Dropout as `nn.Dropout`, on a CPU a good deal faster: its `bernoulli_` took a tenth of a training step.

    An element's draw is 16 bits of torch's global generator there. The probability is rounded to what these can
    give, within 1 / 131072, and what is kept is scaled by that one, so that the expectation is the input.

    Attributes:
        p: Probability that an element is zeroed.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """The input, some of it zeroed in training mode."""
        if x.device.type != "cpu":  # where one kernel draws and multiplies
            return F.dropout(x, self.p, self.training)
        num_kept = max(round((1 - self.p) * DRAW_LEVELS), 1)
        if not self.training or num_kept == DRAW_LEVELS:
            return x
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        # Steps over 16-bit integers are vectorised; a comparison, and what is done with its result, is not.
        threshold = num_kept - DRAW_LEVELS // 2
        dropped = draws.clamp_(threshold - 1, threshold).sub_(threshold).to(x.dtype)  # -1 is kept, 0 is dropped
        # in memory as the input, in whose order the multiplication then goes
        return (x * dropped.as_strided(x.shape, torch.empty_like(x).stride())).mul_(-DRAW_LEVELS / num_kept)


class Block(nn.Module):
    """Main path: activation, normalisation, 3x3 convolution, activation, 3x3 convolution. Shortcut: 1x1 convolution.

    `(B, in, H, W) -> (B, out, H, W)`. Without the shortcut the block is its main path alone.

    With a `survival` below 1 a training step leaves out the main path for the whole batch with probability
    `1 - survival`, and evaluation weighs it by `survival`, its expectation, as published. A path that is left out
    isn't computed, which is where the time is saved: its parameters have no gradient in that step, so that the
    optimizer passes them over, and its batch normalisation doesn't count the batch.

    Source: Huang et al. 2016, 1603.09382, equations 2 and 5.
    """

    def __init__(self, in_channels: int, out_channels: int, config: ResidualCNNConfig, survival: float = 1.0) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.LeakyReLU(config.negative_slope),
            nn.BatchNorm2d(in_channels) if config.batch_norm else nn.Identity(),
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
            nn.LeakyReLU(config.negative_slope, inplace=True),  # of what nobody else reads
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1) if config.skip else None
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        """Adds the two paths, or those that are there."""
        if self.shortcut is not None and self.training and self._drops_main():
            dropped: Tensor = self.shortcut(x)
            return dropped
        main: Tensor = self.main(x)
        if self.survival < 1 and not self.training:
            main = main * self.survival
        return main if self.shortcut is None else main.add_(self.shortcut(x))

    def _drops_main(self) -> bool:
        # Drawn on the CPU: every device drops the same blocks, and none has to be waited for. At survival 1 nothing
        # is drawn, so that a network without stochastic depth sees the random numbers that it always saw.
        return self.survival < 1 and torch.rand((), device="cpu").item() >= self.survival


class ResidualCNN(nn.Module):
    """The report's network: `(B, 3, 32, 32)` normalised images to `(B, num_classes)` logits."""

    def __init__(self, config: ResidualCNNConfig, num_classes: int) -> None:
        super().__init__()
        rates = survival_rates(config.num_blocks, config.survival)
        channels = [RGB, *(width for width in config.filters for _ in range(config.layers_per_block))]
        stages: list[nn.Module] = []
        for index in range(config.num_blocks):
            if index > 0 and config.dropout > 0:
                stages.append(Dropout(config.dropout))
            stages.append(Block(channels[index], channels[index + 1], config, rates[index]))
            if (index + 1) % config.pool_every == 0:
                stages.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*stages)
        size = IMAGE_SIZE >> config.num_pools
        units = [channels[-1] * size * size, *[config.hidden_layer_size] * config.hidden_layer_count]
        hidden: list[nn.Module] = []
        for inputs, outputs in pairwise(units):
            hidden += [nn.Linear(inputs, outputs), nn.LeakyReLU(config.negative_slope)]
        self.classifier = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(units[-1], num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def survival_rates(num_blocks: int, survival: float) -> list[float]:
    """Probabilities that the blocks' main paths are kept in a training step, from the first block to the last.

    They fall linearly with depth, to `survival` in the last block: `1 - (l / L) * (1 - survival)` for block `l` of `L`.

    Source: Huang et al. 2016, 1603.09382, equation 4.
    """
    return [1 - block / num_blocks * (1 - survival) for block in range(1, num_blocks + 1)]


def build_model(
    config: ModelConfig, num_classes: int, weights_dir: Path | None = None, *, load_weights: bool = True
) -> nn.Module:
    """The network of a configuration, its random weights drawn from torch's global generator.

    Args:
        config: Which network.
        num_classes: Number of outputs.
        weights_dir: Where published weights are looked for first; None to look in the usual places only.
        load_weights: Whether published weights are read, if the configuration asks for them. Without them the
            network has the same layers and random weights: enough to count it, also on the meta device.

    Raises:
        WeightsError: Published weights, or the package of the network, can't be had.
    """
    if isinstance(config, ResidualCNNConfig):
        return ResidualCNN(config, num_classes)
    return build_published(config, num_classes, weights_dir, load_weights=load_weights)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters: of a network whose last layer alone is trained, those of that layer."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
