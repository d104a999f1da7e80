"""Images as torchvision's data sets give them: an array in memory, each image a PIL image when it is asked for."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms


class PilImages(Dataset[Any]):
    """As `torchvision.datasets.CIFAR10` with the transforms of the tutorials.

    Attributes:
        images: `(N, 32, 32, 3) uint8`.
        labels: `(N,) int64`.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images = images
        self.labels = labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def read_images(data_dir: Path, part: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of a part, `train` or `test`, and their labels; from torchvision's layout or from Parquet."""
    batches = data_dir.parent if data_dir.name == "cifar-10-batches-py" else data_dir
    if (batches / "cifar-10-batches-py").is_dir():
        from torchvision.datasets import CIFAR10

        found = CIFAR10(str(batches), train=part == "train")
        return found.data[:number], np.array(found.targets[:number])
    import pandas as pd

    table = pd.read_parquet(next(data_dir.glob(f"{part}-*.parquet"))).head(number)
    files = table["img" if "img" in table else "image"]
    images = [np.asarray(Image.open(io.BytesIO(file["bytes"])).convert("RGB")) for file in files]
    return np.stack(images), table["label"].to_numpy()
