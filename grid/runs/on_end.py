"""A command of the user's, which runs when a run has ended: `--on-end 'notify-send done'`."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from grid.records.manifest import Manifest


def run_on_end(command: str, manifest: Manifest, results: Path, say: Callable[[str], object]) -> None:
    """Runs a command without a shell; what goes wrong with it is said, and changes nothing of the run.

    Args:
        command: What the user typed, with quotes as a shell has them.
        manifest: Of the run, which has ended. The command finds in its environment how (`CIFAR_GRID_OUTCOME`: complete,
            interrupted or failed), the run's name (`CIFAR_GRID_RUN`), the results folder (`CIFAR_GRID_RESULTS`) and
            the report (`CIFAR_GRID_REPORT`).
        results: The results folder.
        say: Is told in a line what goes wrong.
    """
    folder = results.resolve()
    about = {
        "CIFAR_GRID_OUTCOME": manifest.outcome or "failed",
        "CIFAR_GRID_RUN": manifest.name,
        "CIFAR_GRID_RESULTS": str(folder),
        "CIFAR_GRID_REPORT": str(folder / "index.html"),
    }
    try:
        code = subprocess.run(shlex.split(command), env=os.environ | about, stdin=subprocess.DEVNULL).returncode
    except (OSError, ValueError, IndexError) as error:
        say(f"--on-end: {command!r} can't be run ({error})")
        return
    if code:
        say(f"--on-end: {command!r} ended with exit code {code}")
