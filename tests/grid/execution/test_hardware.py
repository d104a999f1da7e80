"""The number format, found without torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_models import device
from grid.execution.hardware import PROCESSORS, native_precision, processor_precision

pytestmark = pytest.mark.skipif("CIFAR_GRID_TEST_PRECISION" in os.environ, reason="the hardware is not asked")


def test_it_is_what_torch_finds_on_this_machine() -> None:
    assert native_precision(None) == device.native_precision(device.default_device())
    assert native_precision(1) == "bf16"
    if PROCESSORS.exists() and device.default_device().type == "cpu":
        assert processor_precision(PROCESSORS) in (None, native_precision(None))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\n", "bf16"),
        ("flags\t\t: fpu amx_bf16\n", "bf16"),
        ("flags\t\t: fpu avx2 avx512f\n", "fp32"),
        ("Features\t: fp asimd bf16 i8mm\n", "bf16"),
        ("Features\t: fp asimd\n", "fp32"),
        ("cpu\t\t: POWER9\n", None),
    ],
)
def test_a_processor_is_known_by_its_flags(tmp_path: Path, listed: str, expected: str | None) -> None:
    (tmp_path / "cpuinfo").write_text(listed)
    assert processor_precision(tmp_path / "cpuinfo") == expected
    assert processor_precision(tmp_path / "nowhere") is None


@pytest.mark.skipif(not PROCESSORS.exists(), reason="only Linux says it without torch")
def test_torch_is_not_imported_for_it_without_a_gpu() -> None:
    code = "import sys; from grid.execution.hardware import *; native_precision(None); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(device.default_device().type != "cpu")
