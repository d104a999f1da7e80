"""Runs every benchmark: medians and ratios, measured in turn in one run, then error rates. `make bench`."""

import os
import statistics
import subprocess
import sys

from cifar_models.device import WORKER_ENVIRONMENT
from tests.benchmarks import augmentation, calibration, moderated_pairs, promises

ROUNDS = 3


def measure(what: str, *, tuned: bool) -> str:
    """What one benchmark process prints; `tuned` gives it the environment of our workers."""
    environment = os.environ | (WORKER_ENVIRONMENT if tuned else {}) | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.throughput", what]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Throughput of training and of augmentation, ours beside others; then the calibration of the inference."""
    machine = measure("machine", tuned=False)
    precision = "bf16" if machine.endswith("bf16 in hardware") else "fp32"
    print(f"Machine: {machine}")
    print(f"Training the report's final network, batch 256, one process, one thread, {ROUNDS} rounds in turn")
    ours, tutorial = [], []
    for _ in range(ROUNDS):
        tutorial.append(float(measure("tutorial", tuned=False)))
        ours.append(float(measure(precision, tuned=True)))
    print(f"  tutorial (fp32, NCHW, PIL, DataLoader)   {statistics.median(tutorial):7.1f} images/s")
    print(f"  cifar-grid ({precision}, channels_last)          {statistics.median(ours):7.1f} images/s")
    ratios = [a / b for a, b in zip(ours, tutorial, strict=True)]
    print(f"  ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    augmentation.main()
    calibration.main()
    moderated_pairs.main()
    promises.main()


if __name__ == "__main__":
    main()
