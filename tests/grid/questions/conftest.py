"""No question costs much, whatever is in it: every test of questions is held to a bound on time and memory."""

import gc
import resource
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

LIMIT_CPU_S = 10
LIMIT_S = 120
LIMIT_BYTES = 200_000_000


@pytest.fixture(autouse=True, scope="session")
def _hypothesis_is_ready() -> None:
    """In a fresh clone it first reads all of our source, for constants worth trying, which takes 200 MB."""
    given(st.text())(lambda text: None)()


@pytest.fixture(autouse=True)
def _costs_little() -> Iterator[None]:
    def stop(signum: int, _: object) -> None:
        raise AssertionError(f"stopped by {signal.Signals(signum).name}: it took too long")

    gc.collect()  # what earlier tests left is room that this one may use
    before = _peak_bytes()
    previous = [(signum, signal.signal(signum, stop)) for signum in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, LIMIT_CPU_S)  # a busy machine costs none of it,
    signal.alarm(LIMIT_S)  # and whatever waits for ever costs none of it either
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for signum, handler in previous:
            signal.signal(signum, handler)
    assert _peak_bytes() - before < LIMIT_BYTES


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
