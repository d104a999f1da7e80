"""What was found of each study and which files show it, so that only what changed is made again.

    .report/studies    for each study a key, its files with their hashes, and its card; signed (`grid.records.signed`)

A study is as it was if its key is: a hash of this program, its plan, the records of its trials, the history of its
claims and the pictures beside its page. It stays as it is if, besides, its files and its rows of the tables are as they
were written. So neither a forged file nor a damaged one is ever shown for what this program wrote.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
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
from grid.report.answers import Card
from grid.report.pages import study_files
from grid.report.verdict_tables import COMPARISONS, VERDICTS
from grid.tables.schemas import TRIALS

KEPT = ".report/studies"
TABLES = {"trials": TRIALS, "verdicts": VERDICTS, "comparisons": COMPARISONS}
"""Tables that have rows of each study, with their schemas."""


class KeptStudies:
    """What an earlier report left in a results folder.

    Attributes:
        tables: Those of `TABLES`, whole; none where one was changed.
    """

    def __init__(self, files: Folder) -> None:
        self._files = files
        content = json.loads(read_signed(files, KEPT) or '{"studies": {}, "tables": {}}')
        self._studies: dict[str, Any] = content["studies"]
        tables = {name: _table(files, name, content["tables"].get(name)) for name in TABLES}
        self.tables = {name: table for name, table in tables.items() if table is not None}

    def find(self, plan: StudyPlan, key: str, *, so_far: bool) -> Card | None:
        """What was found of a study, if all that was made of it stands; None if it has to be made again.

        Args:
            plan: The study.
            key: What `key_of` gives for it now.
            so_far: Whether pages may say that a run is at work.
        """
        found, name = self._studies.get(plan.study.name), plan.study.name
        if not found or found["key"] != key or (found["so_far"] and not so_far) or len(self.tables) < len(TABLES):
            return None
        if any(_digest(self._files, file) != digest for file, digest in found["files"].items()):
            return None
        self._studies[name]["stays"] = True
        return Card.model_validate({**found["card"], "study": plan.study})

    def rows(self, table: str, study: str) -> pa.Table:
        """The rows that a study has in one of `TABLES`."""
        return self.tables[table].filter(pc.equal(self.tables[table]["study"], study))

    def keep(self, made: Mapping[str, tuple[str, Card]], *, so_far: bool) -> None:
        """Keeps what was made, and what stayed, for the next report; call it when all files are written.

        Args:
            made: Key and card of each study that was made anew, by name.
            so_far: Whether its pages say that a run is at work.
        """
        studies = {name: entry for name, entry in self._studies.items() if entry.pop("stays", False)}
        for name, (key, card) in made.items():
            files = {file: _digest(self._files, file) for file in study_files(card.study)}
            about = card.model_dump(mode="json", exclude={"study"})
            studies[name] = {"key": key, "so_far": so_far, "files": files, "card": about}
        tables = {name: _digest(self._files, f"{name}.parquet") for name in TABLES}
        write_signed(self._files, KEPT, json.dumps({"studies": studies, "tables": tables}).encode())


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


def _table(files: Folder, name: str, digest: str | None) -> pa.Table | None:
    try:
        content = files.read(f"{name}.parquet", 2**30)
    except OSError:
        return None
    same = hashlib.sha256(content).hexdigest() == digest
    return pq.read_table(pa.BufferReader(content)).cast(TABLES[name]) if same else None


def _digest(files: Folder, name: str) -> str | None:
    try:
        return hashlib.sha256(files.read(name, 2**30)).hexdigest()
    except OSError:
        return None
