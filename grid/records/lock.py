"""One run at a time in a results folder: a lock that says who holds it, and that gives signs of life.

    results/run.lock          who is at work there, as JSON; gone when the run ends
           /run.lock.<token>  who is about to take the lock over from the run of that token

What a killed run leaves is recognised on the same machine at once: its process is gone, or another one has its number.
From elsewhere, such as the next container, only its signs can be seen: a run refreshes the time of its lock's file.

Who holds a lock may rely on it for `TRUSTED_S` after each sign. Who wants it from a silent run waits for longer than
that, and for no sign. A holder that was paused for longer than `TRUSTED_S` takes its lock anew, as any other would,
as soon as it wakes, and learns so whether it lost it. No clock of one machine is compared with another's.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grid.errors import LostLockError, UserError
from grid.records.holder import Holder, this_process
from grid.records.lock_file import age_s, changed, create, read, refresh, remove, replace

LOCK = "run.lock"

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
        path: Its file.
        holder: What is in it.
        last_sign: When the last sign of life was given, in seconds of `_clock`.
        lost_to: Who took it over; None if nobody did.
    """

    path: Path
    holder: Holder
    last_sign: float
    lost_to: Holder | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def fence(self) -> "Fence":
        """What another process of this run needs to know of the lock."""
        return Fence(self.path.resolve(), self.holder.token)

    def give_sign(self) -> None:
        """Refreshes the lock's file; takes it anew after a pause, or where somebody removed it.

        Raises:
            OSError: The file can't be reached at the moment.
        """
        now = _clock()
        if now - self.last_sign > TRUSTED_S:
            self._take_anew()
        elif not refresh(self.path, self.holder):
            create(self.path, self.holder)
            found = read(self.path)
            self.lost_to = found if found != self.holder else None
        self.last_sign = now

    def _take_anew(self) -> None:
        renewed = self.holder.model_copy(update={"renewals": self.holder.renewals + 1})
        try:
            _take(self.path, renewed, lambda path, other: other == self.holder or _is_gone(path, other))
            self.holder = renewed
        except UserError:  # another has it, or is about to
            self.lost_to = read(self.path)
            if self.lost_to is None or self.lost_to.token == self.holder.token:
                self.lost_to = read(_claim(self.path, self.holder)) or self.holder

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
    """Tells another process of a run, which may outlive a pause of its driver, whether the run still has its lock."""

    path: Path
    token: str

    def check(self) -> None:
        """Looks into the lock's file; one that is not there is taken anew by the driver.

        Raises:
            LostLockError: Another run holds it.
        """
        with contextlib.suppress(UserError):
            found = read(self.path)
            if found is not None and found.token != self.token:
                raise LostLockError(_loss(self.path, found))


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
    path, is_new = folder / LOCK, not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone, since = _take(path, mine, lambda path, other: _is_gone(path, other, take_over, say))
        lock = HeldLock(path, mine, since)
        lock.give_sign()  # a pause may have come before the first one
    except KeyboardInterrupt:  # a run that is told to end may have its lock already
        with contextlib.suppress(OSError, UserError):
            if read(path) == mine:
                remove(path)
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
        found = read(lock.path)
        if found == lock.holder:
            remove(lock.path)
        if is_new:
            lock.path.parent.rmdir()
    lost_to = lock.lost_to or (found if found is not None and found.token != lock.holder.token else None)
    if lost_to is not None:
        raise LostLockError(_loss(lock.path, lost_to)) from None


def _take(path: Path, mine: Holder, is_gone: Callable[[Path, Holder], bool]) -> tuple[Holder | None, float]:
    """Makes `path` this process's own.

    Of those that find the same one gone, only the one that holds the claim on its token may replace it. A claim is a
    lock of its own: its holder may be killed, or paused and have its claim taken over; hence what counts is what is
    in the file in the end.

    Returns:
        Whose it was, if that one is gone, and since when this process has it, in seconds of `_clock`.

    Raises:
        UserError: Another one holds it, or may do so.
    """
    gone = None
    since = _clock()
    while not create(path, mine):
        other = read(path)
        if other == mine:
            return gone, since
        if other is None:
            continue
        if not is_gone(path, other):
            raise UserError(_refusal(path, other))
        since = _clock()
        claim = _claim(path, other)
        _take(claim, mine, _is_gone)
        if read(path) == other:
            gone = other
            replace(claim, path)
        else:
            remove(claim)
            since = _clock()
    return gone, since


def _claim(path: Path, other: Holder) -> Path:
    return path.with_name(f"{LOCK}.{other.token}")


def _is_gone(
    path: Path, other: Holder, take_over: bool = False, say: Callable[[str], object] = lambda line: None
) -> bool:
    """Whether a lock may be taken from its holder: its process has ended, or it has long given no sign of life."""
    here = other.is_here()
    if here and other.has_ended():
        return True
    if other.format == 1:  # it never gives a sign
        return take_over and not here
    if not take_over and (here or age_s(path) < SILENT_S):
        return False
    say(f"looking for {WATCHED_S:.0f} s whether {other} gives a sign of life")
    return not _gives_sign(path, other)


def _gives_sign(path: Path, other: Holder) -> bool:
    """Watches a lock; whether its file changed in any way."""
    seen, until = changed(path), _clock() + WATCHED_S
    while _clock() < until:
        time.sleep(min(1.0, WATCHED_S / 10))
        if changed(path) != seen or read(path) != other:
            return True
    return False


def _refusal(path: Path, other: Holder) -> str:
    if other.is_here():
        advice = f"wait for it, stop it with kill -INT {other.pid}, or give another folder with --results"
    elif other.format == 1:
        advice = f"if that no longer runs, which only {_name(other)} can tell, add --take-over"
    else:
        advice = (
            f"its last sign of life came {max(0.0, age_s(path)):.0f} s ago; if it was killed, add --take-over, or "
            f"wait until that is more than {SILENT_S:.0f} s"
        )
    return f"results folder {path.parent}: in use by {other}; {advice}"


def _loss(path: Path, other: Holder) -> str:
    return (
        f"results folder {path.parent}: taken over by {other} while this run gave no sign of life; this one ends, and "
        "its finished trials are kept"
    )


def _name(other: Holder) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in other.host)


def _clock() -> float:
    """Seconds that also pass while the machine is suspended, where it has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()
