"""What is trained: one frozen, typed configuration, validated once and complete with every default.

The defaults are the final setting of the course report that the catalogue's questions come from
(a residual CNN of 64 filters, AdaGrad at 0.005, L2 of 0.005, batch 256, 100 epochs). Nothing here
imports torch: whoever only reads results can still read the configuration of a trial.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

IMAGE_SIZE = 32
"""Height and width, in pixels, of every image that a model here receives."""

MAX_FILTERS = 16_384
"""More is a slip of the pen; like the other upper bounds it only keeps numbers to what a machine can count."""

MAX_FACTOR = 1e30
"""Rates, penalties and slopes beyond it leave what a float32 can hold, which torch refuses in mid-training."""

TRAINING_VERSION = 3
"""Version of the code that trains; part of every trial's fingerprint.

Raise it whenever the same configuration would give other numbers than before (a golden test says when),
so that trials of the old code are not taken for trials of the new.
"""


DatasetName = Literal["digits", "cifar10", "cifar100", "folder"]
"""Every data set, or way that one lies on disk; what is known of each stands in `cifar_models.data.sources`."""

OptimizerName = Literal["sgd", "sgd_momentum", "adagrad", "adam", "adamw"]
"""Every rule by which weights are updated; what is known of each stands in `cifar_models.optimizers`."""

PublishedName = Literal["resnet50", "resnext50", "densenet121", "efficientnet_lite0"]
"""Every published architecture; what is known of each stands in `cifar_models.published`."""

Architecture = Literal["residual_cnn", PublishedName]
"""Every family of networks."""


class Frozen(BaseModel):
    """Base of every configuration: immutable, and strict about names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class DataConfig(Frozen):
    """Which images are trained on, and how they are divided.

    Attributes:
        name: The data set: `digits` is embedded, the CIFARs are read or downloaded, `folder` is a
            folder of class folders of images.
        train_size: Number of training images, drawn stratified from what validation leaves; all if None.
        test_size: Number of test images, drawn stratified; all if None.
        val_fraction: Share of the training images that is set aside for validation.
        split_seed: Seed of the division. It is not the trial's seed: all trials share one split.
    """

    name: DatasetName = "cifar10"
    train_size: int | None = Field(default=None, ge=2, le=1_000_000_000)
    test_size: int | None = Field(default=None, ge=1, le=1_000_000_000)
    val_fraction: float = Field(default=0.1, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0, lt=2**32)


class ResidualCNNConfig(Frozen):
    """The report's network: residual blocks, pooling in between, then hidden layers.

    Attributes:
        architecture: The name of this family of models.
        filters: Filters of the blocks; for each entry there are `layers_per_block` blocks.
        layers_per_block: Number of residual blocks per entry of `filters`.
        pool_every: A 2x2 max-pooling follows every so many blocks.
        hidden_layer_count: Number of hidden layers of the classifier.
        hidden_layer_size: Units of each hidden layer.
        skip: Whether the shortcut path exists; without it a block is its main path only.
        batch_norm: Whether a block normalises its input.
        dropout: Probability that dropout, between blocks, zeroes a value.
        survival: Stochastic depth: probability that the last block's main path is kept in a training step; it falls
            linearly from 1 with depth (Huang et al. 2016, 1603.09382). 1 drops nothing. It needs `skip`.
        negative_slope: Slope of LeakyReLU below zero.
    """

    architecture: Literal["residual_cnn"] = "residual_cnn"
    filters: tuple[int, ...] = Field(default=(64,), min_length=1)
    layers_per_block: int = Field(default=4, ge=1, le=1_000)
    pool_every: int = Field(default=2, ge=1, le=1_000)
    hidden_layer_count: int = Field(default=4, ge=0, le=1_000)
    hidden_layer_size: int = Field(default=120, ge=1, le=100_000)
    skip: bool = True
    batch_norm: bool = True
    dropout: float = Field(default=0.1, ge=0, lt=1)
    survival: float = Field(default=1.0, gt=0, le=1)
    negative_slope: float = Field(default=0.01, ge=0, le=MAX_FACTOR)

    @property
    def num_blocks(self) -> int:
        """Number of residual blocks in the whole network."""
        return len(self.filters) * self.layers_per_block

    @property
    def num_pools(self) -> int:
        """Number of 2x2 poolings in the whole network."""
        return self.num_blocks // self.pool_every

    @model_validator(mode="after")
    def _fits_the_image(self) -> Self:
        if min(self.filters) < 1 or max(self.filters) > MAX_FILTERS:
            raise ValueError(f"filters {list(self.filters)}: every entry must be from 1 to {MAX_FILTERS:,}")
        if self.survival < 1 and not self.skip:
            raise ValueError("survival below 1 needs skip: a block without a shortcut can't be dropped")
        if IMAGE_SIZE >> self.num_pools < 1:
            raise ValueError(
                f"{self.num_blocks} blocks with pool_every {self.pool_every} pool {self.num_pools} times, which "
                f"shrinks a {IMAGE_SIZE}x{IMAGE_SIZE} image below one pixel; use pool_every of at least "
                f"{self.num_blocks // IMAGE_SIZE.bit_length() + 1} or fewer blocks"
            )
        return self


class PublishedConfig(Frozen):
    """A published architecture, its last layer replaced by one with an output a class.

    Attributes:
        architecture: Its name: torchvision's ResNet50, ResNeXt50 and DenseNet121, or EfficientNet-Lite0.
        stem: `imagenet` is the first layers as published (they shrink an image to a quarter before the first block);
            `cifar` replaces them by a 3x3 convolution of stride 1 without pooling, as is usual on 32x32 images.
        cardinality: Parallel paths of a ResNeXt block (Xie et al. 2016); the others do not read it.
        width: Channels that the paths of ResNeXt's first blocks share; published is 128, as 32 paths of 4.
        weights: `imagenet` starts from weights trained on ImageNet, `none` from random ones.
        trainable: Whether training changes all layers or only the new last one.
        input_size: Images are scaled to this height and width, in pixels, before they enter the network.
    """

    architecture: PublishedName
    stem: Literal["imagenet", "cifar"] = "imagenet"
    cardinality: int = Field(default=32, ge=1, le=16_384)
    width: int = Field(default=128, ge=1, le=16_384)
    weights: Literal["none", "imagenet"] = "none"
    trainable: Literal["all", "last_layer"] = "all"
    input_size: int = Field(default=IMAGE_SIZE, ge=IMAGE_SIZE, le=512)

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.width % self.cardinality:
            raise ValueError(f"cardinality {self.cardinality} does not divide the width {self.width}")
        if self.weights == "none" and self.trainable == "last_layer":
            raise ValueError("trainable last_layer needs weights imagenet: the other layers would stay random")
        if self.weights == "imagenet" and self.stem == "cifar":
            raise ValueError("weights imagenet needs stem imagenet: the published weights have no layer for another")
        if (
            self.weights == "imagenet"
            and self.architecture == "resnext50"
            and (self.cardinality, self.width) != (32, 128)
        ):
            raise ValueError("weights imagenet needs cardinality 32 and width 128, as published")
        return self


def _residual_unless_named(value: Any) -> Any:
    return {"architecture": "residual_cnn", **value} if isinstance(value, dict) else value


ModelConfig = Annotated[
    ResidualCNNConfig | PublishedConfig,
    Field(discriminator="architecture"),
    BeforeValidator(_residual_unless_named),
]
"""Every network that can be trained; `architecture` says which fields there are, and is the report's own if missing."""


class AugmentationConfig(Frozen):
    """What is done to training images, each with draws of its own, anew in each epoch.

    Attributes:
        mode: `in_place` changes the images; `added` keeps them and adds a changed copy of each, so that an epoch
            has twice as many.
        color_jitter: Probability of a random brightness, contrast, saturation and hue.
        jitter_strength: Brightness, contrast and saturation are multiplied by 1 minus to 1 plus this; the hue turns
            by up to a quarter of it, in turns.
        rotation: Probability of a rotation, about the centre, black beyond the edge.
        max_degrees: Largest angle of a rotation, in degrees, to either side.
        flip: Probability of a horizontal flip.
        crop_padding: Images are padded with so many black pixels, then cropped at a random place.
    """

    mode: Literal["in_place", "added"] = "in_place"
    color_jitter: float = Field(default=0.0, ge=0, le=1)
    jitter_strength: float = Field(default=0.4, gt=0, le=1)
    rotation: float = Field(default=0.0, ge=0, le=1)
    max_degrees: float = Field(default=45.0, gt=0, le=180)
    flip: float = Field(default=0.0, ge=0, le=1)
    crop_padding: int = Field(default=0, ge=0, le=IMAGE_SIZE)

    @property
    def changes_images(self) -> bool:
        """Whether any image can come out other than it went in."""
        return max(self.color_jitter, self.rotation, self.flip, self.crop_padding) > 0

    def num_samples(self, num_images: int) -> int:
        """Samples of an epoch: the images, and as many copies where they are added."""
        return 2 * num_images if self.mode == "added" else num_images

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if self.mode == "added" and not self.changes_images:
            raise ValueError("mode added needs a change: set color_jitter, rotation, flip or crop_padding")
        return self


class OptimizerConfig(Frozen):
    """How weights are updated, and what is added to the loss.

    Attributes:
        name: The rule. `sgd` is plain, `sgd_momentum` adds momentum.
        lr: Learning rate (the peak of it, where a schedule changes it).
        momentum: Momentum of `sgd_momentum`; the other rules do not read it.
        weight_decay: L2 as torch's optimizers define it (`weight_decay * w` is added to the gradient;
            AdamW decouples it). It acts on all parameters, like `l1`, so the two compare.
        l1: Factor of the sum of absolute parameters, added to the loss.
        schedule: How the rate changes, step by step, over the whole training.
    """

    name: OptimizerName = "adagrad"
    lr: float = Field(default=0.005, gt=0, le=MAX_FACTOR)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    weight_decay: float = Field(default=0.005, ge=0, le=MAX_FACTOR)
    l1: float = Field(default=0.0, ge=0, le=MAX_FACTOR)
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"


class TrainConfig(Frozen):
    """Everything that decides the numbers of one trial. Resources (workers, GPUs, paths) are not in it.

    Attributes:
        data: The images and their division.
        model: The network.
        augmentation: What is done to training images.
        optimizer: The update rule.
        batch_size: Images a step. The last, incomplete batch of an epoch is left out.
        epochs: Passes over the training images.
        seed: Fixes the initialisation, the order of the data, the augmentation and what is dropped.
        precision: `bf16` computes under autocast; weights and optimizer stay float32.
        channels_last: Memory layout of images and convolutions.
    """

    data: DataConfig = DataConfig()
    model: ModelConfig = ResidualCNNConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    batch_size: int = Field(default=256, ge=2, le=1_000_000)
    epochs: int = Field(default=100, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=2**32)
    precision: Literal["bf16", "fp32"] = "bf16"
    channels_last: bool = True
