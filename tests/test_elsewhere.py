"""The suite can be run as on a machine with another number format."""

import os
import subprocess
import sys

import pytest

from tests.grid.test_cli import ROOT

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
ASK = "from grid.execution.hardware import *; print(native_precision(0))"


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_every_process_of_the_suite_takes_the_format_that_was_asked_for(precision: str) -> None:
    code = f"import tests.conftest; {ASK}; {CHILD.replace('sys.argv[1]', repr(ASK))}"
    environment = os.environ | {"CIFAR_GRID_TEST_PRECISION": precision}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [precision, precision]


def test_a_format_that_there_is_not_is_refused() -> None:
    environment = os.environ | {"CIFAR_GRID_TEST_PRECISION": "fp64"}
    done = subprocess.run(
        [sys.executable, "-c", "import tests.conftest"], cwd=ROOT, env=environment, capture_output=True
    )
    assert done.returncode == 1 and b"'fp64' is not one of bf16, fp32" in done.stderr
