"""What was found of each study and which files show it, so that only what changed is made again.

    .report/studies    for each study a key, its files with their hashes, and its card; the hashes of what all share;
                       signed (`grid.records.signed`)

A study is as it was if its key is: a hash of this program, its plan, the records of its trials, the history of its
claims and the pictures beside its page. It stays as it is if, besides, its files and its rows of the tables are as they
were written. So neither a forged file nor a damaged one is ever shown for what this program wrote.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import cifar_models
import grid
from grid.records.files import Folder
from grid.records.manifest import package_versions
from grid.records.plan import StudyPlan
from grid.records.signed import read_signed, write_signed
from grid.report.card import SHARED_FILES, Card, study_files
from grid.tables.schemas import COMPARISONS, TRIALS, VERDICTS

KEPT = ".report/studies"
TABLES = {"trials": TRIALS, "verdicts": VERDICTS, "comparisons": COMPARISONS}
"""Tables that have rows of each study, with their schemas."""
SHARED = (*(f"{name}.parquet" for name in (*TABLES, "epochs")), *SHARED_FILES)
"""Files that are made of all studies together."""
MAX_BYTES = 2**30


class KeptReport:
    """What an earlier report left in a results folder.

    Attributes:
        so_far: Whether pages may, and the index has to, say that a run is at work.
    """

    def __init__(self, files: Folder, *, so_far: bool) -> None:
        self.so_far = so_far
        self._files = files
        content = json.loads(read_signed(files, KEPT) or "{}")
        self._studies: dict[str, Any] = content.get("studies", {})
        self._shared: dict[str, str] = content.get("shared", {})
        self._index_so_far: bool | None = content.get("so_far")
        self._stay: set[str] = set()

    def find(self, plan: StudyPlan, key: str) -> Card | None:
        """What was found of a study, if all that was made of it stands; None if it has to be made again.

        Args:
            plan: The study.
            key: What `key_of` gives for it now.
        """
        found, name = self._studies.get(plan.study.name), plan.study.name
        if not found or found["key"] != key or (found["so_far"] and not self.so_far) or self._tables is None:
            return None
        if not self._stand(found["files"]):
            return None
        self._stay.add(name)
        return Card.model_validate({**found["card"], "study": plan.study})

    def rows(self, table: str, study: str) -> pa.Table:
        """The rows that a study, which `find` found, has in one of `TABLES`."""
        assert self._tables is not None
        whole = self._parsed[table]
        return whole.filter(pc.equal(whole["study"], study))

    def stands(self, studies: Sequence[str]) -> bool:
        """Whether what studies share stands too, and was made of exactly these."""
        return list(self._studies) == list(studies) and self._index_so_far == self.so_far and self._stand(self._shared)

    def keep(self, studies: Sequence[str], made: Mapping[str, tuple[str, Card]]) -> None:
        """Keeps what was made, and what stayed, for the next report; call it when all files are written.

        Args:
            studies: All studies of the report, in its order.
            made: Key and card of each one that was made anew, by name.
        """
        kept = {name: self._studies[name] if name in self._stay else self._entry(*made[name]) for name in studies}
        shared = {name: _digest(self._files, name) for name in SHARED}
        write_signed(self._files, KEPT, json.dumps({"studies": kept, "shared": shared, "so_far": self.so_far}).encode())

    def _entry(self, key: str, card: Card) -> dict[str, Any]:
        files = {file: _digest(self._files, file) for file in study_files(card.study)}
        about = card.model_dump(mode="json", exclude={"study"})
        return {"key": key, "so_far": self.so_far, "files": files, "card": about}

    def _stand(self, digests: Mapping[str, str]) -> bool:
        return all(_digest(self._files, file) == digest for file, digest in digests.items())

    @cached_property
    def _tables(self) -> dict[str, bytes] | None:
        """The files of `TABLES`; None if one was changed."""
        found = {}
        for name in TABLES:
            content = _read(self._files, f"{name}.parquet")
            if content is None or hashlib.sha256(content).hexdigest() != self._shared.get(f"{name}.parquet"):
                return None
            found[name] = content
        return found

    @cached_property
    def _parsed(self) -> dict[str, pa.Table]:
        assert self._tables is not None
        return {
            name: pq.read_table(pa.BufferReader(content)).cast(TABLES[name]) for name, content in self._tables.items()
        }


def key_of(plan: StudyPlan, digests: Mapping[str, str], *others: object) -> str:
    """A hash of all that a study's page and rows are made from.

    Args:
        plan: The study.
        digests: Hash of the record of each trial that ended, by fingerprint.
        others: What else its page shows.
    """
    trials: Sequence[str] = [digests.get(trial.fingerprint, "") for trial in plan.trials]
    return hashlib.sha256(json.dumps([_code(), plan.model_dump_json(), trials, others]).encode()).hexdigest()


@cache
def _code() -> str:
    """A hash of this program's files and of the versions of what computes and draws."""
    code = hashlib.sha256(json.dumps(package_versions()).encode())
    for package in (grid, cifar_models):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                code.update(path.name.encode() + path.read_bytes())
    return code.hexdigest()


def _read(files: Folder, name: str) -> bytes | None:
    try:
        return files.read(name, MAX_BYTES)
    except OSError:
        return None


def _digest(files: Folder, name: str) -> str | None:
    content = _read(files, name)
    return None if content is None else hashlib.sha256(content).hexdigest()
