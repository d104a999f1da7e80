"""What computes on this machine. Found without torch where it can be: importing that takes seconds."""

import ctypes
import sys
from pathlib import Path
from typing import Literal

Precision = Literal["bf16", "fp32"]

PROCESSORS = Path("/proc/cpuinfo")

BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""What Linux calls the instructions of processors that compute in bf16; torch has the same names for them."""


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


def native_precision(gpus: float | None) -> Precision:
    """bf16 where the hardware computes in it, else fp32: of the GPUs that a trial asks for, or of this machine."""
    if gpus:
        return "bf16"  # the GPUs may be on other machines than this; current ones all have it
    if (found := None if gpu_may_be_here() else processor_precision(PROCESSORS)) is not None:
        return found
    from cifar_models import device

    return device.native_precision(device.default_device())


def processor_precision(processors: Path) -> Precision | None:
    """The faster format of the first processor that Linux lists; None where there is no such list.

    A processor without bf16 instructions emulates it, some thirty times slower than fp32.
    """
    try:
        lines = processors.read_text(errors="replace").lower().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "features"))), None)
    if flags is None:
        return None
    return "bf16" if BF16_FLAGS & set(flags.split()) else "fp32"
