"""A small CIFAR-10 grid, whole process; and the seconds of it in which nothing trains."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tests.benchmarks.commands import Ran, cifar_grid, last_line, module
from tests.benchmarks.grid_settings import BATCH_SIZE, EPOCHS, NUM_TEST, NUM_TRAIN, NUM_VAL, RATES
from tests.benchmarks.made_images import NUM_IMAGES
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

QUESTION = f"""title: Which learning rate?
about: The report's final network at {len(RATES)} rates.
cells: [{{product: {{optimizer.lr: {list(RATES)}}}}}]
"""
SETTINGS = {
    "epochs": EPOCHS,
    "batch_size": BATCH_SIZE,
    "data.train_size": NUM_TRAIN,
    "data.val_fraction": NUM_VAL / NUM_IMAGES["train"],
    "data.test_size": NUM_TEST,
}
WHAT = f"{len(RATES)} trials x {EPOCHS} epochs x {NUM_TRAIN:,} images"
Spans = list[tuple[float, float]]


def measure_grid(setting: Setting) -> list[Row]:
    """The whole process beside the tutorials', then what of both trains nothing; three runs a round."""
    ours, again, theirs = [], [], []
    for _ in setting.each_round():
        theirs.append(run_tutorial(setting))
        first, second = run_ours(setting)
        ours.append(first)
        again.append(second)
    whole = [
        Row(
            name="grid",
            what=f"{WHAT}, whole process, {when}",
            unit="s",
            ours=tuple(ran.wall_s for ran, _ in runs),
            peer="tutorials' way",
            theirs=tuple(ran.wall_s for ran, _ in theirs),
            goal="≥ 3.5 times; ≥ 6 with AMX",
            others=setting.others,
        )
        for when, runs in (("first time", ours), ("second time", again))
    ]
    return [*whole, *idle_rows(setting, ours, again, tuple(idle_s(ran, spans) for ran, spans in theirs))]


def measure_start(setting: Setting) -> list[Row]:
    """What of our grid trains nothing, without its peer."""
    runs = [run_ours(setting) for _ in setting.each_round()]
    return idle_rows(setting, [first for first, _ in runs], [second for _, second in runs])


def idle_rows(
    setting: Setting,
    ours: Sequence[tuple[Ran, Spans]],
    again: Sequence[tuple[Ran, Spans]],
    theirs: tuple[float, ...] = (),
) -> list[Row]:
    """The seconds in which nothing trains: when the images were never read before, and when they were."""
    return [
        Row(
            name="start",
            what=f"seconds of it in which nothing trains, {when}",
            unit="s",
            ours=tuple(idle_s(ran, spans) for ran, spans in runs),
            peer="tutorials' way" if theirs else None,
            theirs=theirs,
            goal=goal,
            others=setting.others,
        )
        for when, goal, runs in (("first time", "≤ 8", ours), ("second time", "≤ 5", again))
    ]


def run_ours(setting: Setting) -> tuple[tuple[Ran, Spans], tuple[Ran, Spans]]:
    """Our run where nothing is cached, and one into another folder after it, each with when its trials trained."""
    question, cache = setting.scratch / "rates.yaml", setting.fresh("cache")
    question.write_text(QUESTION, encoding="utf-8")
    return _run_once(setting, question, cache), _run_once(setting, question, cache)


def _run_once(setting: Setting, question: Path, cache: Path) -> tuple[Ran, Spans]:
    results = setting.fresh("grid")
    options = [word for field, value in SETTINGS.items() for word in ("--set", f"{field}={value}")]
    where = ("--data-dir", setting.data_dir, "--results", results)
    changes = {"CIFAR_GRID_CACHE": str(cache)}
    ran = cifar_grid("run", question, "--profile", "cpu", "--seeds", 1, *where, *options, changes=changes)
    return ran, spans_of(results)


def run_tutorial(setting: Setting) -> tuple[Ran, Spans]:
    """The peer's run."""
    ran = module("peers.tutorial_grid", setting.data_dir, setting.fresh("tutorial"))
    spans: Spans = [(start, end) for start, end in json.loads(last_line(ran))]
    if len(spans) != len(RATES):
        raise RuntimeError(f"only {len(spans)} trials of the peer ended well")
    return ran, spans


def spans_of(results: Path) -> Spans:
    """When each trial of a results folder started and ended, in seconds."""
    trials = pd.read_parquet(results / "trials.parquet")
    if (trials["status"] != "ok").any():
        raise RuntimeError(f"trials failed: {trials['reason'].dropna().unique()}")
    started = [moment.timestamp() for moment in pd.to_datetime(trials["started"], utc=True)]
    return [(start, start + wall_s) for start, wall_s in zip(started, trials["wall_s"], strict=True)]


def idle_s(ran: Ran, spans: Spans) -> float:
    """The seconds of a run in which no trial was at work."""
    return ran.wall_s - covered_s(spans)


def covered_s(spans: Spans) -> float:
    """The seconds that spans cover together."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
