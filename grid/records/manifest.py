"""The manifest of a run: what was run, from which code, on what, and how it ended.

results/runs/<UTC time>-<random>.json    written before the first trial, completed when the run ends
"""

import hashlib
import os
import platform
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, ValidationError

from cifar_models.config import Frozen
from grid.errors import LostLockError
from grid.records.files import Folder
from grid.records.plan import PlanCounts, StudyPlan

Outcome = Literal["complete", "interrupted", "failed"]
"""How a run ended: with a result for every trial, before all had run, or with trials or a whole run that failed."""

PACKAGES = (
    "cifar-grid", "torch", "torchvision", "numpy", "ray", "pydantic", "safetensors", "scikit-learn", "pillow",
    "pyarrow", "pandas", "scipy", "plotly", "efficientnet-lite-pytorch",
)  # fmt: skip
"""Distributions that numbers, tables and verdicts come from."""

SOURCE_ROOT = Path(__file__).parents[2]
"""The project's source tree, unless it was installed in another way."""


class Gpu(Frozen):
    """A GPU: its name, the version of its driver, and its memory, None where it shares the machine's."""

    name: str
    driver: str
    memory_bytes: int | None


class Node(Frozen):
    """A machine that trials may run on.

    Attributes:
        name: Its host name with the start of its number in the cluster, as several nodes can be on one host.
        cpu: Name of its processor.
        num_cpus: Cores that the system sees.
        memory_bytes: Memory of the whole machine.
        gpus: Its GPUs.
        system: Its operating system.
        python: Version of Python there.
    """

    name: str
    cpu: str
    num_cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    system: str
    python: str


class Code(Frozen):
    """Where the code came from: a git commit, and whether files of the project differ from it."""

    commit: str
    dirty: bool


class StudyRun(Frozen):
    """A study in a run.

    Attributes:
        study: Its name.
        planned: When it was planned, before any of its new trials started.
        claims_hash: Hash of its claims at that time; None if it had none.
        seeds: The seeds of each arm.
        counts: Its trials: planned, cached, shared and new.
    """

    study: str
    planned: AwareDatetime
    claims_hash: str | None
    seeds: tuple[int, ...]
    counts: PlanCounts


class Manifest(Frozen):
    """What is kept of a run.

    Attributes:
        name: Name of the run, and of its file.
        command: The command line.
        code: Where the code came from; None if that is not a git checkout.
        lock_sha256: Hash of requirements.lock; None where there is none.
        versions: Versions of Python and of the packages, on the node that was driving.
        num_threads: Threads a trial, by architecture; `other` for those that are not named.
        nodes: The machines; none if nothing was trained.
        studies: The studies, in the order of their planning.
        started: When it started.
        ended: When it ended; None if it still runs, or was killed.
        outcome: How it ended; None if it did not.
    """

    format: Literal[1] = 1
    name: str
    command: tuple[str, ...]
    code: Code | None
    lock_sha256: str | None
    versions: dict[str, str]
    num_threads: dict[str, int]
    nodes: tuple[Node, ...] = ()
    studies: tuple[StudyRun, ...] = ()
    started: AwareDatetime
    ended: AwareDatetime | None = None
    outcome: Outcome | None = None


@dataclass
class RunLog:
    """The manifest of a run that is under way; what is added is on disk at once.

    Attributes:
        folder: Where it is.
        manifest: As it is now.
        outcome: How the run will have ended, unless an exception ends it.
    """

    folder: Folder
    manifest: Manifest
    outcome: Outcome = "complete"

    def add_study(self, plan: StudyPlan, counts: PlanCounts, claims_hash: str | None) -> None:
        """Notes what a study claims and plans, before its trials start; what was noted first stands."""
        study = plan.study
        if study.name in (noted.study for noted in self.manifest.studies):
            return
        noted = StudyRun(
            study=study.name, planned=datetime.now(UTC), claims_hash=claims_hash, seeds=study.seeds, counts=counts
        )
        self.note(studies=(*self.manifest.studies, noted))

    def add_nodes(self, nodes: Sequence[Node]) -> None:
        """Notes machines, each once."""
        self.note(nodes=tuple(dict.fromkeys((*self.manifest.nodes, *nodes))))

    def note(self, **fields: object) -> None:
        """Changes fields of the manifest, if any, and writes it."""
        self.manifest = self.manifest.model_copy(update=fields)
        self.folder.write(f"{self.manifest.name}.json", self.manifest.model_dump_json(indent=1).encode())


@contextmanager
def recorded_run(folder: Folder, command: Sequence[str], num_threads: Mapping[str, int]) -> Iterator[RunLog]:
    """Keeps the manifest of what runs inside; an exception ends the run as interrupted or failed.

    Args:
        folder: For the manifests of all runs; it is made if it is not there.
        command: The command line, as it was typed.
        num_threads: Threads a trial, by architecture; `other` for those that are not named.

    Raises:
        OSError: The manifest can't be written.
    """
    started, lock = datetime.now(UTC), SOURCE_ROOT / "requirements.lock"
    manifest = Manifest(
        name=f"{started:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}",
        command=tuple(os.fsencode(argument).decode(errors="replace") for argument in command),
        code=code_of(SOURCE_ROOT),
        lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
        versions=package_versions(),
        num_threads=dict(num_threads),
        started=started,
    )
    log = RunLog(folder, manifest)
    outcome: Outcome = "failed"
    try:
        log.note()  # whoever interrupts the run may do so while this is written
        yield log
        outcome = log.outcome
    except (KeyboardInterrupt, LostLockError):  # whichever of its processes learnt first that the folder is lost
        outcome = "interrupted"
        raise
    finally:
        log.note(ended=datetime.now(UTC), outcome=outcome)


def read_manifests(folder: Folder) -> tuple[list[Manifest], list[str]]:
    """The manifests of all runs, oldest first; and a line for each file that is none, with its name."""
    manifests, problems = [], []
    for name in folder.names():
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            manifests.append(Manifest.model_validate_json(folder.read(name)))
        except OSError as error:
            problems.append(f"{folder.path / name}: can't be read ({error.strerror})")
        except ValidationError as error:
            problems.append(f"{folder.path / name}: not a manifest of this version ({error.errors()[0]['msg']})")
    return sorted(manifests, key=lambda manifest: manifest.started), problems


def package_versions() -> dict[str, str]:
    """Versions of Python and of those of the packages that are installed here."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def code_of(root: Path) -> Code | None:
    """The commit that a source tree is at; None if it is no git checkout, or one of something around it.

    Only files that a run reads make it dirty, whether git knows them or not.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None
        read = ("cifar_models", "grid", "pyproject.toml", "requirements.lock")
        return Code(commit=git("rev-parse", "HEAD"), dirty=bool(git("status", "--porcelain", "--", *read)))
    except (OSError, subprocess.CalledProcessError):  # no git, no repository, no commit in it, or not trusted by git
        return None
