"""The lock of a results folder, between real processes."""

import os
import socket
from pathlib import Path

import pytest

from grid.errors import LostLockError, UserError
from grid.records import holder
from grid.records.lock import LOCK, held_lock
from tests.grid.records.held_locks import leave_stale, other_run, taken


def test_a_second_run_is_refused_with_one_line_that_says_who_runs(tmp_path: Path) -> None:
    with other_run(tmp_path) as other:
        with pytest.raises(UserError) as refused, held_lock(tmp_path, "second"):
            pass
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0
    text = str(refused.value)
    assert f"in use by process {other.pid} on {socket.gethostname()}, started by " in text
    assert f"UTC (cifar-grid run q2); wait for it, stop it with kill -INT {other.pid}, or give another" in text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []
    with taken(tmp_path) as said:
        assert said == []


def test_a_fence_lets_nothing_through_once_another_run_has_the_lock(tmp_path: Path) -> None:
    with pytest.raises(LostLockError), held_lock(tmp_path, "first") as mine:
        fence = mine.fence()
        fence.check()
        (tmp_path / LOCK).unlink()
        fence.check()
        leave_stale(tmp_path)
        with pytest.raises(LostLockError, match=r"taken over by process \d+ .*this one ends"):
            fence.check()


@pytest.mark.parametrize("token", ["../../escaped", "a/b", "", "A" * 32, "0" * 31, "0" * 32 + "\n"])
def test_a_forged_token_leads_nowhere(tmp_path: Path, token: str) -> None:
    folder = tmp_path / "deep" / "results"
    folder.mkdir(parents=True)
    leave_stale(folder, token=token)
    with pytest.raises(UserError, match="not a lock of this version"), taken(folder, take_over=True):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "results", LOCK]


@pytest.mark.parametrize("content", ["", "{}", "not JSON", '{"format": 2}'])
def test_a_lock_that_cannot_be_read_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(UserError, match=rf"{LOCK}: not a lock of this version; remove it if no run is at work there$"):
        held_lock(tmp_path, "second").__enter__()


def test_it_is_released_whatever_happens_and_an_empty_folder_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held_lock(tmp_path / "new", "first"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with held_lock(tmp_path / "new", "second"):
        (tmp_path / "new" / "result").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result"]


def test_a_lock_that_was_removed_by_hand_and_taken_by_another_is_not_released(tmp_path: Path) -> None:
    with pytest.raises(LostLockError), held_lock(tmp_path, "first"):
        (tmp_path / LOCK).unlink()
        theirs = leave_stale(tmp_path)
    assert theirs.exists()


def test_a_hostile_command_is_one_printable_line(tmp_path: Path) -> None:
    with held_lock(tmp_path, "run \x1b[2J\n\udcff"), pytest.raises(UserError) as refused:
        held_lock(tmp_path, "second").__enter__()
    assert str(refused.value).isprintable()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/results: can't be written \(Not a directory: .*give another"):
        held_lock(tmp_path / "file" / "results", "first").__enter__()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="compares with /proc")
def test_where_there_is_no_proc_the_start_of_a_process_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    mine = holder.process_start(os.getpid())
    assert mine and mine == holder.process_start(os.getpid())
    assert holder.process_start(2**22 - 1) is None
