"""Commands that train nothing: `list` and `--help`; a finished grid run again; a large plan."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.commands import Ran, cifar_grid, module, run
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting
from tests.benchmarks.trial_overhead import SIZES, run_trivial, trivial_arguments

NUM_ARMS = 10_000
NUM_SEEDS = 10


def measure_commands(setting: Setting) -> list[Row]:
    """`cifar-grid list` and `cifar-grid --help`, beside `ray --help`."""
    ours: dict[str, list[Ran]] = {"list": [], "--help": []}
    theirs = []
    for command in ours:
        cifar_grid(command)  # compiles what was never imported
    for _ in setting.each_round():
        theirs.append(run(Path(sys.executable).with_name("ray"), "--help").wall_s)
        for command, runs in ours.items():
            runs.append(cifar_grid(command))
    return [
        Row(
            name="commands",
            what=f"cifar-grid {command}",
            unit="s",
            ours=tuple(ran.wall_s for ran in runs),
            cpu_s=tuple(ran.cpu_s for ran in runs),
            peer="ray --help",
            theirs=tuple(theirs),
            goal="< 0.5",
            others=setting.others,
        )
        for command, runs in ours.items()
    ]


def measure_again(setting: Setting) -> list[Row]:
    """A grid of 300 trials that is finished, run again, beside what Ray Tune has for that: `Tuner.restore`."""
    results, restored = run_trivial(setting, SIZES[0]), setting.fresh("restored")
    arguments = trivial_arguments(setting.scratch / f"trivial-{SIZES[0]}.yaml", results)
    module("peers.restored_run", SIZES[0], restored)
    ours, theirs = [], []
    for _ in setting.each_round():
        theirs.append(module("peers.restored_run", SIZES[0], restored).wall_s)
        ours.append(cifar_grid("run", *arguments).wall_s)
    return [
        Row(
            name="again",
            what=f"a finished grid of {SIZES[0]} run again",
            unit="s",
            ours=tuple(ours),
            peer="Tuner.restore, no report",
            theirs=tuple(theirs),
            goal="< 2",
            others=setting.others,
        )
    ]


def measure_planning(setting: Setting) -> list[Row]:
    """The plan of as many trials as are allowed."""
    question = setting.scratch / "many.yaml"
    question.write_text(
        "title: Many\nabout: As many arms as are allowed.\ncells:\n  - product:\n"
        f"      optimizer.lr: {[round(1e-5 * (1 + step), 6) for step in range(NUM_ARMS // 100)]}\n"
        f"      optimizer.weight_decay: {[round(1e-5 * step, 6) for step in range(100)]}\n",
        encoding="utf-8",
    )
    options = ("--profile", "quick", "--seeds", NUM_SEEDS, "--no-time", "--results", setting.scratch / "many")
    runs = [cifar_grid("plan", question, *options) for _ in setting.each_round()]
    return seconds_and_memory("planning", f"{NUM_ARMS:,} arms x {NUM_SEEDS} seeds", runs, setting, "< 5")


def seconds_and_memory(
    name: str, what: str, runs: Sequence[Ran], setting: Setting, seconds: str = "", megabytes: str = ""
) -> list[Row]:
    """Two rows of what was run in each round, with a goal for each."""
    walls, cpu_s = tuple(ran.wall_s for ran in runs), tuple(ran.cpu_s for ran in runs)
    memory = tuple(ran.memory_bytes / 1e6 for ran in runs)
    others = setting.others
    return [
        Row(name=name, what=what, unit="s", ours=walls, cpu_s=cpu_s, goal=seconds, others=others),
        Row(name=name, what=f"{what}, peak memory", unit="MB", ours=memory, goal=megabytes, others=others),
    ]
