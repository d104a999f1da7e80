"""Images on the device, whole, as bytes; batches of them are made ready where the model computes."""

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LEVELS = 256
COUNTED = 1000
"""Images whose levels are counted at a time: counting needs eight bytes a pixel."""


class DeviceImages:
    """N labelled images on a device.

    They stay uint8, a quarter of the memory, and are normalised a batch at a time. On the CPU they are the array's own
    memory, which all workers of a node share; nothing here writes to it.

    Attributes:
        images: `(N, 3, H, W) uint8`.
        labels: `(N,) int64`.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.integer],
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.images = moved(shared(images), device)
        self.labels = moved(torch.tensor(labels, dtype=torch.int64), device)
        self.memory_format = memory_format

    def __len__(self) -> int:
        return len(self.labels)

    def normalised(self, images: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
        """Images as a model receives them: float32, mean 0 and deviation 1 by channel, in the memory format."""
        x = images.to(memory_format=self.memory_format).float()
        return x.sub_(mean_C.view(1, -1, 1, 1)).div_(std_C.view(1, -1, 1, 1))


def moved(value: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; where that is a GPU, nothing waits until it is there."""
    return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value.to(device)


def shared(images: npt.NDArray[np.uint8]) -> Tensor:
    """An array as a tensor of the same memory. Nothing may write to it: arrays of an object store are read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(images)


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of `(N, C, H, W) uint8`, as two `(C,) float32` in 0 to 255.

    Counted by level in integers, so they are exact and the same on every device. A constant channel has deviation 1.
    """
    levels = torch.arange(LEVELS, dtype=torch.float64)
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.zeros(LEVELS, dtype=torch.int64)
        for some in torch.split(channel, COUNTED):
            counts += torch.bincount(some.flatten().cpu(), minlength=LEVELS)
        mean = (counts * levels).sum() / counts.sum()
        std = ((counts * (levels - mean) ** 2).sum() / counts.sum()).sqrt()
        means.append(mean)
        stds.append(std if std > 0 else torch.ones_like(std))
    return torch.stack(means).float().to(images.device), torch.stack(stds).float().to(images.device)
