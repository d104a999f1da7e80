"""The networks. Shapes: B images, C channels, H rows, W columns."""

from itertools import pairwise

from torch import Tensor, nn

from cifar_models.config import IMAGE_SIZE, ResidualCNNConfig

RGB = 3


class Block(nn.Module):
    """Main path: activation, normalisation, 3x3 convolution, activation, 3x3 convolution. Shortcut: 1x1 convolution.

    `(B, in, H, W) -> (B, out, H, W)`. Without the shortcut the block is its main path alone.
    """

    def __init__(self, in_channels: int, out_channels: int, config: ResidualCNNConfig) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.LeakyReLU(config.negative_slope),
            nn.BatchNorm2d(in_channels) if config.batch_norm else nn.Identity(),
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
            nn.LeakyReLU(config.negative_slope),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1) if config.skip else None

    def forward(self, x: Tensor) -> Tensor:
        """Adds the two paths."""
        main: Tensor = self.main(x)
        return main if self.shortcut is None else main + self.shortcut(x)


class ResidualCNN(nn.Module):
    """The report's network: `(B, 3, 32, 32)` normalised images to `(B, num_classes)` logits."""

    def __init__(self, config: ResidualCNNConfig, num_classes: int) -> None:
        super().__init__()
        channels = [RGB, *(width for width in config.filters for _ in range(config.layers_per_block))]
        stages: list[nn.Module] = []
        for index in range(config.num_blocks):
            if index > 0 and config.dropout > 0:
                stages.append(nn.Dropout(config.dropout))
            stages.append(Block(channels[index], channels[index + 1], config))
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


def build_model(config: ResidualCNNConfig, num_classes: int) -> nn.Module:
    """A network with fresh weights, drawn from torch's global generator."""
    return ResidualCNN(config, num_classes)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
