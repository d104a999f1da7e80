"""What is done once before all tries: a sound results folder, and everything imported that they will need."""

import contextlib
import importlib
import sys
import warnings
from pathlib import Path

from tests.faults.forked import Limits, Surroundings, call
from tests.faults.sound import Sound, command, make_sound, read_sound


def prepared_sound(scratch: Path) -> Sound:
    """Makes the sound folder in a process that ends, and imports here what that imported.

    Raises:
        RuntimeError: The sound folder could not be made.
    """
    folder, printed = scratch / "sound", scratch / "printed"
    folder.mkdir()
    printed.mkdir()
    modules = scratch / "modules"

    def make() -> None:
        make_sound(folder)
        with contextlib.chdir(folder.parent), contextlib.suppress(SystemExit):
            command("doctor", "--results", str(folder / "results"))()
        modules.write_text("\n".join(name for name in sys.modules if "\n" not in name))

    ended = call(make, Surroundings(folder, printed, {"RAY_ADDRESS": "127.0.0.1:9"}), Limits(wall_s=600, cpu_s=300))
    if ended.code or ended.hung:
        raise RuntimeError(f"no sound results folder: {ended.err}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules.read_text().splitlines():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    return read_sound(folder)
