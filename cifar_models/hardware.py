"""What trials are computed on, as far as it can be told without torch, which takes seconds to import."""

import re
import sys
from pathlib import Path
from typing import Literal

WORKER_ENVIRONMENT = {
    # glibc otherwise gives every activation back to the kernel, and faults it in again at each step
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "536870912",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # without it cuBLAS is not deterministic
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""Environment of a process that trains. It must be there when the process starts; other systems ignore it."""

GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""Files of which Linux has one where a process may use a GPU: NVIDIA's, AMD's, and that of Windows' subsystem."""

CPU_FLAGS = Path("/proc/cpuinfo")


def has_gpu() -> bool:
    """Whether torch can use a GPU on this machine; the one answer, also where torch is not imported."""
    if "torch" not in sys.modules and sys.platform == "linux" and not any(Path(name).exists() for name in GPU_FILES):
        return False
    import torch

    return torch.cuda.is_available()


def native_precision(on_gpu: bool | None = None) -> Literal["bf16", "fp32"]:
    """The number format that suits where trials run: bf16 where the hardware computes in it, else fp32.

    Args:
        on_gpu: Whether they run on GPUs, which may be on other machines than this; None to look here.
    """
    if on_gpu:
        return "bf16"  # current ones all have it
    if on_gpu is False or not has_gpu():
        flags = re.search(r"^flags\s*:(.*)$", CPU_FLAGS.read_text(), re.MULTILINE) if CPU_FLAGS.exists() else None
        if flags is not None:  # an x86 processor, on Linux
            return "bf16" if {"amx_bf16", "avx512_bf16"} & set(flags[1].split()) else "fp32"
    import torch

    from cifar_models import device

    return device.native_precision(torch.device("cpu") if on_gpu is False else device.default_device())
