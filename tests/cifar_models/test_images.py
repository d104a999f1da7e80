"""Images on the device: the statistics that they are normalised by, and whose memory they are."""

import numpy as np
import torch

from cifar_models.images import COUNTED, DeviceImages, channel_statistics


def test_channel_statistics_are_those_of_numpy() -> None:
    images = np.random.default_rng(5).integers(0, 256, (COUNTED + 100, 3, 4, 4), dtype=np.uint8)
    mean, std = channel_statistics(torch.tensor(images))
    np.testing.assert_allclose(mean.numpy(), images.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), images.std(axis=(0, 2, 3)), rtol=1e-6)


def test_on_the_cpu_images_are_the_memory_that_workers_share() -> None:
    images = np.zeros((4, 3, 8, 8), dtype=np.uint8)
    images.setflags(write=False)  # as those of an object store are
    on_device = DeviceImages(images, np.arange(4), torch.device("cpu"))
    assert on_device.images.data_ptr() == images.ctypes.data
