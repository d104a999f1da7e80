"""What computes: the device, its number formats, and a process set up to compute the same numbers again."""

import platform
from importlib.metadata import version
from typing import Literal

import torch


def default_device() -> torch.device:
    """The first GPU that this process may use, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def native_precision(device: torch.device) -> Literal["bf16", "fp32"]:
    """The faster number format of a device: bf16 where its hardware computes in it, else fp32.

    A CPU without bf16 instructions emulates it, some thirty times slower than fp32.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) else "fp32"


def prepare_process(num_threads: int) -> None:
    """Makes this process compute reproducibly: the same threads, the same algorithms every time."""
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True)
    # That also fills every new tensor, which takes a tenth of a step, so that who reads what was never written always
    # reads the same. Nothing here does: without it the numbers are the same to the last bit.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def describe(device: torch.device) -> str:
    """Name of the hardware, for the record of a trial."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capabilities = torch.cpu.get_capabilities()
    return f"{capabilities.get('cpu_name') or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def package_versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}}
