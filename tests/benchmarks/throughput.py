"""Images a second of the report's final network, one process and one thread: ours beside the tutorials' way.

The tutorials' way is a Dataset of PIL images behind torchvision transforms and a DataLoader, float32, NCHW. Each is
measured in a process of its own, as it would really run: ours with the environment that Ray workers get.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from cifar_models.config import TrainConfig
from cifar_models.data import Split
from cifar_models.device import default_device, describe, native_precision, prepare_process
from cifar_models.models import build_model
from cifar_models.optimizers import build_optimizer
from cifar_models.records import EpochRecord
from cifar_models.train import train

NUM_STEPS = 3
BATCH_SIZE = 256


def random_images(num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise: how fast a step is does not depend on what the images show."""
    generator = np.random.RandomState(0)
    return generator.randint(0, 256, (num_images, 3, 32, 32)).astype(np.uint8), np.arange(num_images) % 10


class PilImages(Dataset[Any]):
    """Images as torchvision's data sets give them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        from torchvision import transforms

        self.images = images.transpose(0, 2, 3, 1)
        self.labels = labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def tutorial_steps(config: TrainConfig) -> Iterator[int]:
    """Steps as the public tutorials write them; yields the images of each."""
    model = build_model(config.model, 10)
    optimizer = build_optimizer(model.parameters(), config.optimizer)
    loader = DataLoader(PilImages(*random_images(BATCH_SIZE * NUM_STEPS)), BATCH_SIZE, shuffle=True)
    model.train()
    while True:
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield len(y)


def measure_tutorial() -> float:
    """Images a second, after a first step that does not count."""
    steps = tutorial_steps(TrainConfig())
    next(steps)
    start = time.perf_counter()
    return sum(next(steps) for _ in range(NUM_STEPS)) / (time.perf_counter() - start)


def measure_ours(precision: str) -> float:
    """Images a second of `train`, after a first epoch that does not count."""
    prepare_process(num_threads=1)
    one = random_images(10)
    config = TrainConfig.model_validate({"epochs": 2, "batch_size": BATCH_SIZE, "precision": precision})
    data = Split(*random_images(BATCH_SIZE * NUM_STEPS), *one, *one, num_classes=10)
    epochs = [record for record in train(config, data, torch.device("cpu")) if isinstance(record, EpochRecord)]
    return BATCH_SIZE * NUM_STEPS / epochs[-1].wall_s


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "machine":
        print(f"{describe(default_device())}; {native_precision(torch.device('cpu'))} in hardware")
    elif sys.argv[1] == "tutorial":
        print(measure_tutorial())
    else:
        print(measure_ours(sys.argv[1]))
