"""What the benchmarks say of their figures is right, and both sides of a comparison are given the same images."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from cifar_models.data import load
from tests.benchmarks.commands import last_line, run
from tests.benchmarks.made_images import write_parquet
from tests.benchmarks.peers.pil_images import read_images
from tests.benchmarks.rows import Row, table, write_json
from tests.benchmarks.small_grid import covered_s
from tests.benchmarks.throughput import flops_an_image
from tests.benchmarks.worker_memory import size_of, workers_of

SECONDS = Row(name="grid", what="whole", unit="s", ours=(2.0, 4.0, 5.0), peer="peer", theirs=(8.0, 8.0, 15.0))
SPEED = Row(name="training", what="speed", unit="images/s", ours=(300.0,), peer="peer", theirs=(100.0,), others=0.5)


def test_fewer_seconds_are_better_and_more_images_a_second_are() -> None:
    assert SECONDS.ratios() == [4.0, 2.0, 3.0]
    assert SPEED.ratios() == [3.0]


def test_a_line_has_medians_ranges_and_a_star_where_the_machine_was_busy() -> None:
    assert SECONDS.cells()[2:] == (
        "4.00 s (2.00 to 5.00)", "", "8.00 s (8.00 to 15.0) (peer)", "3.00 (2.00 to 4.00)", "", "3",
    )  # fmt: skip
    assert SPEED.cells()[-1] == "1*"
    lines = table([SECONDS, SPEED]).splitlines()
    assert len(lines) == 4 and len(set(map(len, lines))) == 1


def test_rounds_that_have_no_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Row(name="x", what="x", unit="s", ours=(1.0, 2.0), peer="peer", theirs=(1.0,)).ratios()


def test_the_file_has_the_machine_and_every_round(tmp_path: Path) -> None:
    write_json(tmp_path / "bench.json", {"cpu": "some"}, [SECONDS, SPEED])
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["machine"] == {"cpu": "some"}
    assert [row["ours"] for row in found["rows"]] == [[2.0, 4.0, 5.0], [300.0]]
    assert [(row["median"], row["ratios"], row["busy"]) for row in found["rows"]] == [
        (4.0, [4.0, 2.0, 3.0], False),
        (300.0, [3.0], True),
    ]


def test_time_in_which_several_trials_run_counts_once() -> None:
    assert covered_s([(0.0, 10.0), (2.0, 3.0), (8.0, 12.0), (20.0, 21.0)]) == 13.0


def test_ours_and_the_peer_read_the_same_images(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path, {"train": 30, "test": 20})
    ours = load("cifar10", folder)
    for part, images, labels in (
        ("train", ours.train_images, ours.train_labels),
        ("test", ours.test_images, ours.test_labels),
    ):
        theirs = read_images(folder, part, 15)
        assert np.array_equal(theirs[0].transpose(0, 3, 1, 2), images[:15])
        assert np.array_equal(theirs[1], labels[:15])


def test_an_image_costs_what_the_layers_of_the_final_network_add_up_to() -> None:
    pixels = 32 * 32
    entry, shortcut = pixels * 3 * 64 * 9, pixels * 3 * 64
    rest, block = pixels * 64 * 64 * 9, pixels * 64 * 64 * (9 + 9 + 1)
    hidden = 64 * 8 * 8 * 120 + 3 * 120 * 120 + 120 * 10
    forward = entry + shortcut + rest + block + 2 * block // 4 + hidden  # two more at a quarter of the pixels
    # backward, two products of that size, but for the gradient of the image, which only the first shortcut would need
    assert flops_an_image() == 2 * (3 * forward - shortcut)


def test_a_program_is_measured_alone_and_its_failure_is_told() -> None:
    held = np.ones(200_000_000, np.uint8)
    ran = run(sys.executable, "-I", "-S", "-c", "print(sum(range(3_000_000)))")
    assert last_line(ran) == "4499998500000"
    assert 1e6 < ran.memory_bytes < held.nbytes / 2 and ran.cpu_s > 0
    with pytest.raises(RuntimeError, match=r"ended with 3:\nwhy"):
        run(sys.executable, "-I", "-S", "-c", "import sys; print('why'); sys.exit(3)")


HOLD = """
import subprocess, sys, time
hold = "import time; held = bytearray(60_000_000); time.sleep(1.5)"
for child in [subprocess.Popen([sys.executable, "-I", "-S", "-c", hold]) for _ in range(2)]:
    child.wait()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not say it")
def test_memory_of_a_family_is_that_of_all_its_processes_at_once() -> None:
    program = (sys.executable, "-I", "-S", "-c", HOLD)
    assert run(*program).memory_bytes < 120e6 < run(*program, family=True).memory_bytes < 240e6


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system does not say it")
def test_memory_of_a_process_is_read_and_no_other_process_is_taken_for_a_worker() -> None:
    array = np.ones(20_000_000, np.uint8)
    size = size_of(os.getpid())
    assert size is not None and size.share >= size.own >= array.nbytes
    assert workers_of(os.getpid()) == []
