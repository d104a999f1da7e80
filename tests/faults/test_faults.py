"""A little of `python -m tests.faults` in the suite; and proof that it sees what it is there to see."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import protection, table
from tests.faults.attempts import Result
from tests.faults.forked import Ended, Limits, Surroundings, call
from tests.faults.victims import differences, look_at, make_victims
from tests.grid.test_cli import ROOT


@pytest.mark.slow
@pytest.mark.skipif(protection.why_not() is not None, reason=f"nothing can be protected: {protection.why_not()}")
def test_one_try_of_each_fault_changes_loses_and_breaks_nothing() -> None:
    kinds = ("links", "odd", "forged", "folders", "questions", "data", "disk")
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *kinds, "--count", "1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    fault, tried, survived, *_ = done.stdout.splitlines()[-2].split()
    assert fault == "all" and int(tried) == int(survived) > 40


@pytest.mark.skipif(protection.why_not() is not None, reason="nothing can be protected")
def test_inside_nothing_but_the_scratch_folder_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    script = f"""
import os, pathlib
from tests.faults.protection import scratch_folder, writable_elsewhere
(scratch_folder() / "new").write_text("x")
assert not writable_elsewhere(scratch_folder())
for path in ({str(tmp_path)!r}, {str(ROOT)!r}):
    try:
        (pathlib.Path(path) / "new").write_text("x")
    except OSError:
        continue
    raise SystemExit(3)
raise SystemExit(len([name for name in os.listdir("/proc") if name.isdigit()]) > 5)
"""
    assert protection.run_inside([sys.executable, "-c", script]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda victims: (victims / "letter.txt").write_text("other"),
        lambda victims: (victims / "letter.txt").rename(victims / "photos" / "letter.txt"),
        lambda victims: (victims / "new").touch(),
        lambda victims: (victims / "photos" / "2019" / "2.png").unlink(),
        lambda victims: (victims / "key").chmod(0o644),
        lambda victims: os.utime(victims / "letter.txt"),
        lambda victims: ((victims / "link").unlink(), (victims / "link").symlink_to("key")),
        lambda victims: (victims / ".hidden").unlink(),
    ],
)
def test_whatever_changes_among_the_victims_is_seen(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    victims = tmp_path / "victims"
    make_victims(victims)
    before = look_at(tmp_path)
    assert differences(before, look_at(tmp_path)) == []
    harm(victims)
    assert differences(before, look_at(tmp_path))


def called(what: Callable[[], object], folder: Path, limits: Limits | None = None, *, powerless: bool = False) -> Ended:
    return call(what, Surroundings(folder, folder, {}, powerless), limits or Limits())


def test_a_call_that_waits_for_ever_is_stopped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert called(lambda: (tmp_path / "pipe").read_text(), tmp_path, Limits(idle_s=0.5)).hung
    assert called(lambda: [None for _ in iter(int, 1)], tmp_path, Limits(cpu_s=0.5, memory_bytes=2**34)).hung
    assert not called(lambda: time.sleep(0.1), tmp_path, Limits(idle_s=5)).hung


def test_a_call_that_takes_too_much_memory_or_dies_is_told_from_one_that_ends(tmp_path: Path) -> None:
    greedy = called(lambda: bytearray(2**40), tmp_path)
    assert greedy.code == 1 and "MemoryError" in greedy.err
    assert called(lambda: os.kill(os.getpid(), signal.SIGKILL), tmp_path).code == -signal.SIGKILL
    assert called(lambda: sys.exit(2), tmp_path).code == 2
    assert called(lambda: print("a word"), tmp_path).out == "a word\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="has no power to give up")
def test_a_powerless_call_is_bound_by_permissions(tmp_path: Path) -> None:
    (tmp_path / "locked").touch(mode=0)
    assert called(lambda: (tmp_path / "locked").read_text(), tmp_path).code == 0
    assert "PermissionError" in called(lambda: (tmp_path / "locked").read_text(), tmp_path, powerless=True).err


def test_the_table_counts_tries_by_what_was_wrong() -> None:
    results = [Result("a", "1"), Result("a", "2", lost=["x", "y"]), Result("b", "3", hangs=["z"])]
    rows = [line.split() for line in table.table(results).splitlines()]
    assert rows[1:] == [
        ["a", "2", "1", "1", "0", "0", "0", "0"],
        ["b", "1", "0", "0", "0", "1", "0", "0"],
        ["all", "3", "1", "1", "0", "1", "0", "0"],
    ]
    assert table.failures(results) == ["a | 2 | lost: x", "a | 2 | lost: y", "b | 3 | hangs: z"]
