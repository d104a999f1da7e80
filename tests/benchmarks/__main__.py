"""Runs benchmarks, prints a table and writes JSON: `make bench`, `make bench ROW=start ARGS="--quick --json FILE"`."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import (
    augmentation,
    calibration,
    command_line,
    moderated_pairs,
    page_loading,
    promises,
    reporting,
    small_grid,
    throughput,
    trainings,
    trial_overhead,
    worker_memory,
)
from tests.benchmarks.rows import Row, table, write_json
from tests.benchmarks.setting import Setting, describe_machine

ROUNDS = 3

BENCHMARKS: dict[str, Callable[[Setting], list[Row]]] = {
    "commands": command_line.measure_commands,
    "planning": command_line.measure_planning,
    "training": throughput.measure,
    "augmentation": augmentation.measure,
    "grid": small_grid.measure_grid,
    "start": small_grid.measure_start,
    "trials": trial_overhead.measure,
    "again": command_line.measure_again,
    "report": reporting.measure,
    "page": page_loading.measure,
    "memory": worker_memory.measure,
}
"""What is timed. `grid` has all of `start`, too, and its peer."""

ERROR_RATES: dict[str, Callable[[], None]] = {
    "calibration": calibration.main,
    "moderated-pairs": moderated_pairs.main,
    "promises": promises.main,
    "trainings": trainings.main,
}
"""Error rates of the inference, which print tables of their own."""


def main() -> None:
    """All that is timed, then the error rates; or what is named."""
    arguments = parse_arguments()
    timed = [name for name in BENCHMARKS if name != "start"]
    names = arguments.row or [*timed, *([] if arguments.quick else ERROR_RATES)]
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['num_cpus']} CPUs, {machine['precision']}; {machine['system']}", flush=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="cifar-grid-bench-") as scratch:
        for name in names:
            if name in ERROR_RATES:
                ERROR_RATES[name]()
                continue
            print(f"{name} …", flush=True)
            setting = Setting(1 if arguments.quick else arguments.rounds, Path(scratch), arguments.data_dir)
            found = BENCHMARKS[name](setting)
            print(table(found), flush=True)
            rows += found
            if arguments.json:  # what was measured is kept if a later one fails
                write_json(arguments.json, machine, rows)
    if rows:
        print(f"\n{table(rows)}\n* other programs had a tenth of the processors or more before one of the rounds")


def parse_arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("row", nargs="*", choices=[*BENCHMARKS, *ERROR_RATES], help="what to run; all if none")
    parser.add_argument("--quick", action="store_true", help="one round, and no error rates")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds in turn (%(default)s)")
    parser.add_argument("--json", type=Path, help="file to write the rows to, with the machine's description")
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 is; images are made if not given")
    return parser.parse_args()


if __name__ == "__main__":
    main()
