"""Files of a results folder that are well-formed and lie: every field of each with every hostile value."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, product
from pathlib import Path
from random import Random
from typing import Any

from grid.records.lock import LOCK, held_lock
from tests.faults import predictions, weights
from tests.faults.attempts import Attempt, Case
from tests.faults.commands import COMMANDS, doctor, export, plan, report, run, verdicts
from tests.faults.forked import Limits, Surroundings, call
from tests.faults.hostile import HOSTILE, Location, locations, with_value, written
from tests.faults.sound import STUDY, Sound

Command = Callable[[Case], None]

CONTENTS = (
    b"", b"{}", b"[]", b"null", b"0", b'"x"', b"{", b"\xff\xfe{}", b"[" * 100_000, b"{\"a\":" * 5_000, b"9" * 100_000,
    b"\x00" * 1000, b"{}" * 1000, b"\xef\xbb\xbf{}",
)  # fmt: skip
"""Documents that are none, or nothing like what belongs there."""


def attempts(sound: Sound) -> Iterator[Attempt]:
    """Every field of a plan, a trial, a manifest and a lock; predictions and weights that were made to harm."""
    key = sorted(sound.trials)[0]
    (manifest,) = sorted((sound.results / "runs").iterdir())
    lock = left_lock(sound)
    yield from _documents("a forged plan", sound.results, f"studies/{STUDY}.json", (report, report, run, plan))
    yield from _documents(
        "a forged second plan", sound.results, f"studies/{STUDY}.json", (report,), "studies/other.json"
    )
    yield from _documents("a forged trial", sound.results, f"ledger/{key[:2]}/{key}/trial.json", (report, run, export))
    yield from _documents("a forged manifest", sound.results, f"runs/{manifest.name}", (report, run))
    yield from _documents("a forged lock", lock.parent, lock.name, (run, report), LOCK)
    for forge, command in product(predictions.FORGERIES, (report, run, verdicts, doctor)):
        yield Attempt("forged predictions", f"{forge.__name__}: {command.__name__}", _predictions(key, forge), command)
    yield from weights.attempts(sound)


def left_lock(sound: Sound) -> Path:
    """The lock that a killed run leaves."""
    folder = sound.question.parent / "left"
    if not (folder / LOCK).exists():
        folder.mkdir()

        def hold() -> None:
            with held_lock(folder, "cifar-grid run"):
                os._exit(0)

        call(hold, Surroundings(folder, folder), Limits())
    return folder / LOCK


def _documents(
    fault: str, folder: Path, name: str, commands: Sequence[Command], place: str | None = None
) -> Iterator[Attempt]:
    document = json.loads((folder / name).read_bytes())
    for command, (location, value) in zip(cycle(commands), product(locations(document), HOSTILE), strict=False):
        shown = f"{'.'.join(map(str, location))} = {value!r:.40}: {command.__name__}"
        yield Attempt(fault, shown, _document(document, location, value, place or name), command)
    for content, command in product(CONTENTS, COMMANDS):
        yield Attempt(
            fault, f"{content!r:.20} ({len(content)}): {command.__name__}", _content(content, place or name), command
        )


def _document(document: Any, location: Location, value: Any, place: str) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        (case.results / place).write_bytes(written(with_value(document, location, value), str(case.victims)))

    return prepare


def _content(content: bytes, place: str) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        (case.results / place).write_bytes(content)

    return prepare


def _predictions(key: str, forge: Callable[[Path], None]) -> Callable[[Case, Random], None]:
    """The predictions of a trial, with the hash of the forged ones in its record."""

    def prepare(case: Case, _: Random) -> None:
        folder = case.results / "ledger" / key[:2] / key
        predictions.VICTIM = str(case.victims / "ESCAPED")
        (folder / "predictions.npz").unlink()
        forge(folder / "predictions.npz")
        record = json.loads((folder / "trial.json").read_bytes())
        with (folder / "predictions.npz").open("rb") as stream:
            record["predictions_sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
        (folder / "trial.json").write_text(json.dumps(record))

    return prepare
