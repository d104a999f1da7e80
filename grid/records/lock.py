"""One run at a time in a results folder: a lock that says who holds it, and that gives signs of life.

    results/run.lock          who is at work there, as JSON; gone when the run ends
           /run.lock.<token>  who is about to take the lock over from the run of that token

What a killed run leaves is recognised on the same machine at once: its process is gone, or another one has its number.
From elsewhere, such as the next container, only its signs can be seen: a run refreshes the time of its lock's file.

Who holds a lock may rely on it for `TRUSTED_S` after each sign. Who wants it from a silent run waits for longer than
that, and for no sign. A holder that was paused for longer than `TRUSTED_S` takes its lock anew, as any other would,
as soon as it wakes, and learns so whether it lost it. No clock of one machine is compared with another's.

filelock's `SoftFileLease` keeps contenders apart as well as this does, and was not taken: it takes the lock of a run of
this machine that is only paused, ends a run whose lock somebody removed by hand, breaks a lock that an earlier version
of this program holds, and can't say who holds it, since when, and by which command.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grid.errors import LostLockError, UserError, printable
from grid.records.files import Folder
from grid.records.holder import Holder, this_process
from grid.records.lock_file import LOCK as LOCK
from grid.records.lock_file import LockFile

SIGN_S = 10.0
"""Seconds between two signs of life."""

TRUSTED_S = 20.0
"""Seconds after its last sign for which a holder relies on its lock."""

WATCHED_S = 25.0
"""Seconds that a lock is watched for a sign before it is taken from a run that may be gone."""

SILENT_S = 120.0
"""Seconds without a sign, by the clock of the file system, after which a run elsewhere may be gone: no network file
system keeps an answer back for so long."""


@dataclass
class HeldLock:
    """A lock that this process holds, until somebody takes it over.

    Attributes:
        file: Its file.
        holder: What is in it.
        last_sign: When the last sign of life was given, in seconds of `_clock`.
        lost_to: Who took it over; None if nobody did.
        over: Set when the run ends, so that no more signs are given.
    """

    file: LockFile
    holder: Holder
    last_sign: float
    lost_to: Holder | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def fence(self) -> "Fence":
        """Returns what lets another process of this run check the lock."""
        return Fence(LockFile(self.file.folder.absolute(), self.file.name), self.holder.token)

    def give_sign(self) -> None:
        """Refreshes the lock's file; takes it anew after a pause, or where somebody removed it.

        Raises:
            OSError: The file can't be reached at the moment.
        """
        now = _clock()
        if now - self.last_sign > TRUSTED_S:
            self._take_anew()
        elif not self.file.refresh(self.holder):
            self.file.create(self.holder)
            found = self.file.read()
            self.lost_to = found if found != self.holder else None
        self.last_sign = now

    def _take_anew(self) -> None:
        renewed = self.holder.model_copy(update={"renewals": self.holder.renewals + 1})
        try:
            _take(self.file, renewed, lambda file, other: other == self.holder or _is_gone(file, other))
            self.holder = renewed
        except UserError:  # another has it, or is about to
            self.lost_to = self.file.read()
            if self.lost_to is None or self.lost_to.token == self.holder.token:
                self.lost_to = self.file.claim_on(self.holder).read() or self.holder

    def give_signs(self, on_loss: Callable[[], None]) -> None:
        """Gives a sign of life again and again until the lock is released or lost; then calls `on_loss`."""
        while not self.over.wait(SIGN_S / 10):  # a machine that was suspended counts on where it was
            if _clock() - self.last_sign < SIGN_S:
                continue
            # a network file system comes back; and where nothing can be written, nothing can be spoilt
            with contextlib.suppress(OSError, UserError):
                self.give_sign()
            if self.lost_to is not None:
                on_loss()
                return


@dataclass(frozen=True)
class Fence:
    """Tells another process of a run, which may outlive a pause of its driver, whether the run still has its lock.

    Attributes:
        file: The lock's file.
        token: What stands in it as long as the run has the lock.
    """

    file: LockFile
    token: str

    def check(self) -> None:
        """Reads the lock's file. If it is missing nothing is wrong: the driver writes it again.

        Raises:
            LostLockError: Another run holds it.
        """
        with contextlib.suppress(UserError):
            found = self.file.read()
            if found is not None and found.token != self.token:
                raise LostLockError(_loss(self.file, found))


@contextlib.contextmanager
def held_lock(
    folder: Path,
    command: str,
    *,
    take_over: bool = False,
    say: Callable[[str], object] = lambda line: None,
    on_loss: Callable[[], None] = lambda: None,
) -> Iterator[HeldLock]:
    """Holds the lock of a results folder, which is made if it is not there, and removed again if it stays empty.

    Args:
        folder: The results folder; every node may see it.
        command: What the user typed, for whoever finds the folder locked.
        take_over: Whether to take the lock from a run of which it can't be known whether it is gone, unless it gives
            a sign of life.
        say: Is told in a line what takes time, and from whom the lock was taken over, if a killed run had left it.
        on_loss: Is called, in a thread, when another run took the lock over while this one was paused.

    Raises:
        UserError: Another run holds it, or may do so, or the folder can't be written.
        LostLockError: Another run took it over, whatever became of what ran inside.
    """
    mine = this_process(command)
    file, is_new = LockFile(Folder(folder), LOCK), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone, since = _take(file, mine, lambda file, other: _is_gone(file, other, take_over, say))
        lock = HeldLock(file, mine, since)
        lock.give_sign()  # a pause may have come before the first one
    except KeyboardInterrupt:  # a run that is told to end may have its lock already
        with contextlib.suppress(OSError, UserError):
            if file.read() == mine:
                file.remove()
        raise
    except OSError as error:
        raise UserError(
            f"results folder {folder}: can't be written ({error.strerror}: {error.filename}); "
            "give another with --results"
        ) from error
    signs = threading.Thread(target=lock.give_signs, args=(on_loss,), name="signs of life", daemon=True)
    try:
        if gone is not None and lock.lost_to is None:
            say(f"took over {folder} from a run that is gone: {gone}; its finished trials are kept")
        signs.start()
        yield lock
    finally:
        lock.over.set()
        if signs.ident is not None:
            signs.join(timeout=SIGN_S)  # a file system that hangs should not keep the run from ending
        _release(lock, is_new)


def _release(lock: HeldLock, is_new: bool) -> None:
    found = None
    with contextlib.suppress(OSError, UserError):  # somebody removed it
        if lock.lost_to is None and _clock() - lock.last_sign > TRUSTED_S:
            lock.give_sign()
        found = lock.file.read()
        if found == lock.holder:
            lock.file.remove()
        if is_new:
            lock.file.folder.path.rmdir()
    lost_to = lock.lost_to or (found if found is not None and found.token != lock.holder.token else None)
    if lost_to is not None:
        raise LostLockError(_loss(lock.file, lost_to)) from None


def _take(file: LockFile, mine: Holder, is_gone: Callable[[LockFile, Holder], bool]) -> tuple[Holder | None, float]:
    """Makes a lock this process's own.

    Of those that find the same holder gone, only the one that has the claim on its token may replace it. A claim is a
    lock of its own: its holder may be killed, or paused and have its claim taken over; hence what counts is what is
    in the file in the end.

    Returns:
        Whose it was, if that one is gone, and since when this process has it, in seconds of `_clock`.

    Raises:
        UserError: Another one holds it, or may do so.
    """
    gone = None
    since = _clock()
    while not file.create(mine):
        other = file.read()
        if other == mine:
            return gone, since
        if other is None:
            continue
        if not is_gone(file, other):
            raise UserError(_refusal(file, other))
        since = _clock()
        claim = file.claim_on(other)
        _take(claim, mine, _is_gone)
        if file.read() == other:
            gone = other
            claim.replace(file)
        else:
            claim.remove()
            since = _clock()
    return gone, since


def _is_gone(
    file: LockFile, other: Holder, take_over: bool = False, say: Callable[[str], object] = lambda line: None
) -> bool:
    """Whether a lock may be taken from its holder: its process has ended, or it has long given no sign of life."""
    here = other.is_here()
    if here and other.has_ended():
        return True
    if other.format == 1:  # it never gives a sign
        return take_over and not here
    if not take_over and (here or file.age_s() < SILENT_S):
        return False
    say(f"looking for {WATCHED_S:.0f} s whether {other} gives a sign of life")
    seen, until = file.changed_ns(), _clock() + WATCHED_S
    while _clock() < until:
        time.sleep(min(1.0, WATCHED_S / 10))
        if file.changed_ns() != seen or file.read() != other:
            return False
    return True


def _refusal(file: LockFile, other: Holder) -> str:
    if other.is_here():
        advice = f"wait for it, stop it with kill -INT {other.pid}, or give another folder with --results"
    elif other.format == 1:
        advice = f"if that no longer runs, which only {printable(other.host)} can tell, add --take-over"
    else:
        advice = (
            f"its last sign of life came {max(0.0, file.age_s()):.0f} s ago; if it was killed, add --take-over, or "
            f"wait until that is more than {SILENT_S:.0f} s"
        )
    return f"results folder {file.folder.path}: in use by {other}; {advice}"


def _loss(file: LockFile, other: Holder) -> str:
    return (
        f"results folder {file.folder.path}: taken over by {other} while this run gave no sign of life; this one "
        "ends, and its finished trials are kept"
    )


def _clock() -> float:
    """Seconds that also pass while the machine is suspended, where it has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()
