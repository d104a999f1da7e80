"""Carries out many tries at once, in processes that share what was imported and what is sound."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.attempts import Attempt, Result, carry_out
from tests.faults.sound import Sound


def drawn(attempts: Sequence[Attempt], scale: float, count: int | None, seed: int) -> list[Attempt]:
    """Of each fault a share, at least one try; a number of them at most."""
    by_fault: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_fault.setdefault(attempt.fault, []).append(attempt)
    chosen = []
    for fault, tries in by_fault.items():
        most = min(len(tries), max(1, round(scale * len(tries))), count or len(tries))
        chosen += tries if most == len(tries) else random.Random(f"{seed} {fault}").sample(tries, most)
    return chosen


def carry_out_all(
    attempts: Sequence[Attempt], sound: Sound, scratch: Path, num_workers: int, seed: int
) -> Iterator[Result]:
    """The results of all tries, in the order in which they end; a worker that is lost is a failure of its own."""
    order = list(range(len(attempts)))
    random.Random(seed).shuffle(order)  # slow ones lie together
    outputs, pids = [], []
    for worker in range(num_workers):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _work([(n, attempts[n]) for n in order[worker::num_workers]], sound, scratch, worker, seed, writing)
        os.close(writing)
        outputs.append(os.fdopen(reading, "rb"))
        pids.append(pid)
    left = set(order)
    try:
        for number, result in _lines(outputs):
            left.discard(number)
            yield result
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
    for number in sorted(left):
        yield Result(attempts[number].fault, attempts[number].name, unclear=["the suite itself failed here"])


def _lines(outputs: Sequence[object]) -> Iterator[tuple[int, Result]]:
    import selectors

    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output, selectors.EVENT_READ)  # type: ignore[arg-type]
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    selector.unregister(key.fileobj)
                    continue
                number, fields = json.loads(line)
                yield number, Result(**fields)


def _work(
    mine: Sequence[tuple[int, Attempt]], sound: Sound, scratch: Path, worker: int, seed: int, writing: int
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for number, attempt in mine:
            begun = time.monotonic()
            try:
                result = carry_out(attempt, seed, scratch / f"try-{worker}-{number}", sound)
            except Exception as error:  # one that can't be prepared or judged is no reason to leave out the rest
                result = Result(attempt.fault, attempt.name, unclear=[f"the suite itself failed: {error!r}"])
            result.wall_s = time.monotonic() - begun
            os.write(writing, json.dumps([number, asdict(result)]).encode() + b"\n")
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)
