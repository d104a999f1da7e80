"""Whether this machine has a GPU. Found without torch where there is none: importing that takes seconds."""

import ctypes
import sys
from pathlib import Path


def gpu_here() -> bool:
    """Whether torch finds a GPU on this machine."""
    if not gpu_may_be_here():
        return False
    from cifar_models.device import default_device

    return default_device().type == "cuda"


def gpu_may_be_here() -> bool:
    """Whether torch may find one: not without NVIDIA's driver, nor AMD's."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return sys.platform != "linux" or Path("/dev/kfd").exists()
    return True
