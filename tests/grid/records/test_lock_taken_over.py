"""A lock whose holder was killed or is silent, and who may take it."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from grid.errors import UserError
from grid.records import holder
from grid.records.files import Folder
from grid.records.holder import Holder
from grid.records.lock import LOCK, Fence, held_lock
from grid.records.lock_file import LockFile
from tests.grid.records.held_locks import HOLD_QUICKLY, QUICK, leave_stale, make_quick, other_run, taken


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life so quick that a test need not wait for them."""
    make_quick(monkeypatch.setattr)


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_what_a_killed_run_leaves_is_taken_over_with_a_line(tmp_path: Path, reaped: bool) -> None:
    with other_run(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        if reaped:
            other.wait()
        else:
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with taken(tmp_path) as said:
            assert len(said) == 1
            assert f"took over {tmp_path} from a run that is gone: process {other.pid} on " in said[0]
            with pytest.raises(UserError, match=rf"process {os.getpid()} on .*\(second\)"), held_lock(tmp_path, "x"):
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_recognised(tmp_path: Path) -> None:
    leave_stale(tmp_path)
    with taken(tmp_path) as said:
        assert len(said) == 1


def test_a_process_whose_start_is_hidden_counts_as_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_stale(tmp_path)
    monkeypatch.setattr(holder, "process_start", lambda pid: None)
    with pytest.raises(UserError, match="in use by"), held_lock(tmp_path, "second"):
        pass


ELSEWHERE = [{"host": "node-7"}, {"machine": "another container"}, {"process_start": "another-boot 17"}]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_another_machines_lock_is_not_judged_but_explained(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    path = leave_stale(tmp_path, **elsewhere)
    with pytest.raises(UserError, match=r"its last sign of life came \d s ago; if it was killed, add --take-over, or"):
        held_lock(tmp_path, "second").__enter__()
    assert path.exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_another_machines_lock_that_has_long_given_no_sign_is_taken_over(
    tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    path = leave_stale(tmp_path, **elsewhere)
    os.utime(path, (time.time() - 100,) * 2)
    with taken(tmp_path) as said:
        assert "gives a sign of life" in said[0] and "from a run that is gone" in said[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_silent_run_that_gives_a_sign_at_the_last_moment_keeps_its_lock(tmp_path: Path) -> None:
    path = leave_stale(tmp_path, host="node-7")
    os.utime(path, (time.time() - 100,) * 2)
    sign = threading.Timer(QUICK["WATCHED_S"] / 2, os.utime, (path,))
    sign.start()
    with pytest.raises(UserError, match="in use by process"), taken(tmp_path):
        pass
    sign.join()
    assert [found.name for found in tmp_path.iterdir()] == [LOCK]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("offset_s", [0, 10**6])
def test_a_lock_of_an_unknown_state_is_taken_over_when_the_user_says_so(tmp_path: Path, offset_s: int) -> None:
    """Also one that is dated in the future, by a clock that was wrong."""
    path = leave_stale(tmp_path, host="node-7")
    os.utime(path, (time.time() + offset_s,) * 2)
    with taken(tmp_path, take_over=True) as said:
        assert "from a run that is gone" in said[1]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_the_version_that_gave_no_signs(tmp_path: Path) -> None:
    path = leave_stale(tmp_path, host="node-7", format=1)
    fields = json.loads(path.read_text())
    del fields["renewals"]
    path.write_text(json.dumps(fields))
    os.utime(path, (0, 0))
    with pytest.raises(UserError, match=r"if that no longer runs, which only node-7 can tell, add --take-over$"):
        held_lock(tmp_path, "second").__enter__()
    with taken(tmp_path, take_over=True) as said:
        assert len(said) == 1
    leave_stale(tmp_path, format=1)
    with taken(tmp_path) as said:
        assert "from a run that is gone" in said[0]


@pytest.mark.usefixtures("quick")
def test_a_run_that_gives_signs_is_never_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holder, "is_here", lambda self: False)
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        time.sleep(QUICK["SILENT_S"])
        for take_over in (False, True):
            with (
                pytest.raises(UserError, match=rf"in use by process {other.pid}"),
                taken(tmp_path, take_over=take_over),
            ):
                pass
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("here", [True, False])
def test_a_paused_run_whose_lock_was_taken_over_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    """On the same machine only when the user says so: the process is there, after all."""
    monkeypatch.setattr(Holder, "is_here", lambda self: here)
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        other.send_signal(signal.SIGSTOP)
        time.sleep(QUICK["SILENT_S"])
        if here:
            with pytest.raises(UserError, match="stop it with kill -INT"), taken(tmp_path):
                pass
        with taken(tmp_path, take_over=here):
            other.send_signal(signal.SIGCONT)
            assert other.wait(timeout=90) == 1
            assert other.stderr
            line = other.stderr.read()
            assert f"taken over by process {os.getpid()} on " in line and line.count("\n") == 1
            assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_paused_run_that_nobody_disturbed_takes_its_lock_anew_and_goes_on(tmp_path: Path) -> None:
    with other_run(tmp_path, HOLD_QUICKLY) as other:
        token = json.loads((tmp_path / LOCK).read_text())["token"]
        other.send_signal(signal.SIGSTOP)
        time.sleep(1)
        other.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 20
        while not (fields := json.loads((tmp_path / LOCK).read_text()))["renewals"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (fields["token"], fields["renewals"]) == (token, 1)
        Fence(LockFile(Folder(tmp_path), LOCK), token).check()
        assert other.stdin
        other.stdin.close()
        assert other.wait() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_lock_that_was_removed_by_hand_comes_back(tmp_path: Path) -> None:
    with held_lock(tmp_path, "first"):
        before = (tmp_path / LOCK).read_text()
        (tmp_path / LOCK).unlink()
        deadline = time.monotonic() + 20
        while not (tmp_path / LOCK).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / LOCK).read_text() == before
    assert list(tmp_path.iterdir()) == []
