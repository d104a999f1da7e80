"""Lets a process take this machine's number format for another; Python imports it at its start if it is on its path.

`tests/conftest.py` puts it there, so that the processes which tests start, and Ray's workers, believe the same.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

PRECISION = os.environ.get("CIFAR_GRID_TEST_PRECISION", "")
LOOKS = {"cifar_models.device": "native_precision", "grid.execution.hardware": "processor_precision"}
"""What looks at the hardware, by its module."""


class DeviceFinder:
    """Finds the modules that look at the hardware, and has them say another format; torch is not imported for it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in LOOKS:
            return None
        sys.meta_path.remove(DeviceFinder)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, DeviceFinder)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            vars(module)[LOOKS[name]] = lambda where: PRECISION

        spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


if PRECISION and not LOOKS.keys() & sys.modules.keys():
    sys.meta_path.insert(0, DeviceFinder)
