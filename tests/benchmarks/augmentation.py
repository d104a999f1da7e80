"""Images a second of the report's augmentation, on one thread: ours beside torchvision image by image, and kornia.

All three jitter colours, rotate by up to 45 degrees and flip, each with probability 0.3, and hand over a batch of 256
as float32. torchvision's is what a Dataset does in `__getitem__`; kornia, which this project does not depend on, is
measured only where it is installed. Each is measured in a process of its own: run as a module with a name of `WAYS`.
"""

import importlib.util
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from cifar_models.augmentation import augment, draw_parameters
from cifar_models.config import AugmentationConfig
from cifar_models.device import prepare_process
from cifar_models.environment import WORKER_ENVIRONMENT
from tests.benchmarks.commands import last_line, module
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting
from tests.benchmarks.throughput import ONE_THREAD, random_images

BATCH_SIZE = 256
SECONDS = 3.0
PROBABILITY = 0.3


def ours() -> Callable[[], torch.Tensor]:
    """The way of `train`: the draws are part of it."""
    config = AugmentationConfig(color_jitter=PROBABILITY, rotation=PROBABILITY, flip=PROBABILITY)
    images = torch.tensor(random_images(BATCH_SIZE)[0])
    generator = torch.Generator().manual_seed(0)
    return lambda: augment(images, draw_parameters(config, BATCH_SIZE, generator), config)


def torchvision_pil() -> Callable[[], torch.Tensor]:
    """Image by image, from PIL images as torchvision's data sets give them."""
    from torchvision.transforms import v2

    pictures = [Image.fromarray(image.transpose(1, 2, 0)) for image in random_images(BATCH_SIZE)[0]]
    transform = v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], PROBABILITY),
            v2.RandomApply([v2.RandomRotation(45)], PROBABILITY),
            v2.RandomHorizontalFlip(PROBABILITY),
            v2.PILToTensor(),
        ]
    )
    return lambda: torch.stack([transform(picture) for picture in pictures]).float()


def kornia() -> Callable[[], torch.Tensor]:
    """On the batch; kornia works in 0 to 1, and waits for the device to learn which images a step applies to."""
    from kornia import augmentation

    images = torch.tensor(random_images(BATCH_SIZE)[0])
    transform = torch.nn.Sequential(
        augmentation.ColorJitter(0.4, 0.4, 0.4, 0.1, p=PROBABILITY),
        augmentation.RandomRotation(45.0, resample="nearest", p=PROBABILITY),
        augmentation.RandomHorizontalFlip(p=PROBABILITY),
    )
    return lambda: transform(images / 255)


WAYS = {"torchvision, image by image": torchvision_pil, "kornia": kornia, "ours": ours}


def measure(setting: Setting) -> list[Row]:
    """Each way that is installed, ours beside it."""
    ways = [way for way in WAYS if way != "kornia" or importlib.util.find_spec("kornia")]
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in setting.each_round():
        for way in ways:
            ran = module("augmentation", way, changes=WORKER_ENVIRONMENT | ONE_THREAD)
            speeds[way].append(float(last_line(ran)))
    return [
        Row(
            name="augmentation",
            what=f"the report's three, p = {PROBABILITY}, batch {BATCH_SIZE}, one thread",
            unit="images/s",
            ours=tuple(speeds["ours"]),
            peer=way,
            theirs=tuple(speeds[way]),
            others=setting.others,
        )
        for way in ways
        if way != "ours"
    ]


def speed_of(way: str) -> float:
    """Images a second of the median batch, after two that do not count; in this process."""
    prepare_process(num_threads=1)
    step = WAYS[way]()
    for _ in range(2):
        step()
    walls, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        walls.append(time.perf_counter() - start)
    return BATCH_SIZE / float(np.median(walls))


if __name__ == "__main__":
    print(speed_of(sys.argv[1]))
