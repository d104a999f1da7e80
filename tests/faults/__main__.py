"""Breaks what can break, again and again, and says what came of it.

python -m tests.faults                        all of it
python -m tests.faults links forged           some kinds
python -m tests.faults --scale 0.02           a share of each fault's tries, one at least
python -m tests.faults links --name run.lock  those tries whose name has that in it, to see one again

All of it is some 17,000 tries and 40 kills, and takes hours. It runs where nothing but a scratch folder can be written,
which takes Linux and root; elsewhere it refuses, unless it is told to go on `--unprotected`. Exit code 1 if anything
was wrong.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.protection import run_inside, scratch_folder, why_not, writable_elsewhere

if TYPE_CHECKING:
    from tests.faults.attempts import Result  # imports torch and Ray, which takes seconds

KINDS = {
    "links": "every place of a results folder as a link to something outside",
    "odd": "pipes, sockets, devices, folders, endless files in its places; odd names",
    "forged": "plans, trials, predictions, manifests, locks and weights that lie",
    "folders": "results folders changed at random",
    "questions": "questions changed at random",
    "data": "images and weights changed at random",
    "disk": "full, read-only, and somebody else's",
    "kills": "of driver, worker, raylet and node",
}

MOST = {"forged": 500}
"""Most tries a fault, where every field with every value would be tens of thousands; another --seed draws others."""


def main() -> None:
    """Goes inside, if it is not there yet, and carries out what was asked for."""
    options = parse()
    scratch = scratch_folder()
    if scratch is None and not options.unprotected:
        if reason := why_not():
            sys.exit(f"nothing can be protected here: {reason}; try it in a container, or with --unprotected")
        sys.exit(run_inside([sys.executable, "-m", "tests.faults", *sys.argv[1:]]))
    if scratch is None:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            sys.exit(carry_out(options, Path(folder)))
    if writable := writable_elsewhere(scratch):
        sys.exit(f"not protected: {', '.join(writable)} can be written")
    sys.exit(carry_out(options, scratch))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    kinds = "\n".join(f"{name}: {about}" for name, about in KINDS.items())
    parser.add_argument("kinds", nargs="*", help=f"all if none is named\n{kinds}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each fault's tries")
    parser.add_argument("--count", type=int, help="most tries a fault")
    parser.add_argument("--name", default="", help="only tries whose fault and name have this in it")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="tries at the same time")
    parser.add_argument("--minutes", type=float, default=1e9, help="no new try after so long; the table is of the rest")
    parser.add_argument("--unprotected", action="store_true", help="where no namespaces can be had")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(KINDS)}")
    return options


def carry_out(options: argparse.Namespace, scratch: Path) -> int:
    """Tries everything in a scratch folder, and prints the table; returns the exit code."""
    begun = time.monotonic()
    for name, variable in (("home", "HOME"), ("tmp", "TMPDIR"), ("ray", "RAY_TMPDIR")):
        (scratch / name).mkdir()
        os.environ[variable] = str(scratch / name)
    os.environ["OMP_NUM_THREADS"] = "1"
    from tests.faults import table
    from tests.faults.attempts import Result

    results: list[Result] = []
    for result in _results(options, scratch):
        results.append(result)
        for line in table.failures([result]):
            print(line, flush=True)
        if time.monotonic() - begun > 60 * options.minutes:
            break
    print()
    print(table.table(sorted(results, key=lambda result: result.fault)))
    print(f"{time.monotonic() - begun:.0f} s")
    return int(not results or not all(result.survived for result in results))


def _results(options: argparse.Namespace, scratch: Path) -> "Iterator[Result]":
    kinds = options.kinds or list(KINDS)
    tries = [kind for kind in kinds if kind != "kills"]
    if tries:
        from tests.faults.preparation import prepared_sound
        from tests.faults.workers import carry_out_all, drawn

        sound = prepared_sound(scratch)
        chosen = []
        for kind in tries:
            every = import_module(f"tests.faults.{kind}").attempts(sound)
            named = [attempt for attempt in every if options.name in f"{attempt.fault} | {attempt.name}"]
            most = options.count or (None if options.name else MOST.get(kind))
            chosen += drawn(named, options.scale, most, options.seed)
        yield from carry_out_all(chosen, sound, scratch, options.jobs, options.seed)
    if "kills" in kinds:
        from tests.faults import kills

        yield from kills.results(options, scratch)


if __name__ == "__main__":
    main()
