"""Settings of every test process.

The suite can be run as on another machine: `CIFAR_GRID_TEST_PRECISION=bf16` (or fp32) has `--precision auto` choose
that format, `OMP_NUM_THREADS` sets the threads of what a test trains in its own process, and torch and oneDNN have
`ATEN_CPU_CAPABILITY=default` and `ONEDNN_MAX_CPU_ISA=SSE41` to leave out newer instructions.
"""

import os
from pathlib import Path

import pytest

# before torch is imported: small models are no faster on more threads, and on a busy machine much slower
os.environ.setdefault("OMP_NUM_THREADS", "1")

# no image of a test in the user's cache folder
os.environ.setdefault("CIFAR_GRID_CACHE", "off")

# a Ray of one's own, never a cluster that happens to run on this machine
os.environ.setdefault("RAY_ADDRESS", "local")

if precision := os.environ.get("CIFAR_GRID_TEST_PRECISION"):
    if precision not in ("bf16", "fp32"):
        raise pytest.UsageError(f"CIFAR_GRID_TEST_PRECISION: {precision!r} is not one of bf16, fp32")
    elsewhere = str(Path(__file__).parent / "elsewhere")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [elsewhere, os.environ.get("PYTHONPATH")]))
    import tests.elsewhere.sitecustomize  # noqa: F401
