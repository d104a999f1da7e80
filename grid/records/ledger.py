"""The ledger: every finished trial, one folder each, written whole or not at all.

    ledger/<first two digits>/<fingerprint>/trial.json        configuration, status, curves, final measures
                                           /predictions.npz   what it says of each test image
                                           /weights.safetensors  its final weights, where they were asked for

It is the only truth about what was trained. This class owns every path and file name in it.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cifar_models.config import TrainConfig
from cifar_models.records import EpochRecord, TestRecord
from grid.errors import UserError
from grid.records.damage import DamagedTrial, find_foreign, set_aside
from grid.records.files import read_regular, remove, sync, write_whole

Status = Literal["ok", "stopped", "diverged", "out_of_memory", "error"]
"""How a trial ended. `diverged` is a result: the same again would diverge again."""

TRIAL = "trial.json"
PREDICTIONS = "predictions.npz"
WEIGHTS = "weights.safetensors"

STALE_S = 3600.0
"""Seconds after which what was never finished being written never will be."""

SETTLED: frozenset[Status] = frozenset({"ok", "diverged"})
"""The ends that training again could not change; trials that ended otherwise are tried again by the next run."""


class TrialRecord(BaseModel):
    """A trial that ended, but for its predictions.

    Attributes:
        fingerprint: Its key.
        status: How it ended.
        reason: Why, in a sentence, unless it is `ok`.
        traceback: Where in the code, if it is an `error`.
        config: What was trained.
        data_fingerprint: Hash of the data set's bytes.
        training_version: Version of the code that trained it.
        epochs: Its curves; as far as it came.
        test_loss: Mean cross-entropy on the test set after the last epoch, in nats; None unless `ok`.
        test_acc: Share of right answers on the test set after the last epoch; None unless `ok`.
        num_parameters: Trainable parameters of the model; None if it was never built.
        num_train: Number of training images; None if they were never read.
        started: When it started, ISO 8601 in UTC.
        wall_s: Seconds it took.
        machine: Processor or GPU it ran on.
        versions: Versions of the packages that computed it.
        predictions_sha256: Hash of `predictions.npz`; None unless `ok`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    format: Literal[1] = 1
    fingerprint: str
    status: Status
    reason: str | None = None
    traceback: str | None = None
    config: TrainConfig
    data_fingerprint: str
    training_version: int
    epochs: tuple[EpochRecord, ...] = ()
    test_loss: float | None = None
    test_acc: float | None = None
    num_parameters: int | None = None
    num_train: int | None = None
    started: str
    wall_s: float
    machine: str
    versions: dict[str, str] = {}
    predictions_sha256: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "ok" and (not self.epochs or self.test_acc is None):
            raise ValueError("an ok trial has curves and test measures")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a trial that is {self.status} has a reason")
        return self


class Ledger:
    """The finished trials below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, fingerprint: str) -> Path:
        """Where a trial is or would be."""
        return self.root / fingerprint[:2] / fingerprint

    def fingerprints(self) -> list[str]:
        """Keys of all trials, sorted."""
        return sorted(path.parent.name for path in self.root.glob(f"[0-9a-f][0-9a-f]/*/{TRIAL}"))

    def commit(self, record: TrialRecord, test: TestRecord | None = None) -> None:
        """Writes a trial, all of it or nothing. A settled trial that is already there stays as it is."""
        final = self.folder(record.fingerprint)
        if record.fingerprint in self.read([record.fingerprint], settled_only=True):
            return
        staging = self.root / ".staging" / uuid.uuid4().hex
        staging.mkdir(parents=True)
        try:
            if test is not None:
                path = staging / PREDICTIONS
                np.savez(path, label=test.label, predicted=test.predicted, true_prob=test.true_prob)
                record = record.model_copy(update={"predictions_sha256": _sha256(path)})
            (staging / TRIAL).write_text(record.model_dump_json(indent=1), encoding="utf-8")
            for path in staging.iterdir():
                sync(path)
            sync(staging)
            final.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(final):  # an earlier try that failed, or was stopped
                os.rename(final, staging.with_suffix(".old"))
            os.replace(staging, final)
        except OSError:  # a full disk should not be filled further
            remove(staging)
            raise
        sync(final.parent)
        remove(staging.with_suffix(".old"))

    def add_weights(self, fingerprint: str, weights: bytes) -> None:
        """Keeps the final weights of a trial that was committed, in place of earlier ones.

        Args:
            fingerprint: The trial; it stays as it is.
            weights: The whole of a safetensors file.

        Raises:
            ValueError: The trial is not in the ledger.
        """
        if not self.read([fingerprint]):
            raise ValueError(f"trial {fingerprint} was not committed before its weights")
        staging = self.root / ".staging" / uuid.uuid4().hex  # where prepare() finds what a killed run leaves
        staging.parent.mkdir(exist_ok=True)
        write_whole(staging, weights)
        os.replace(staging, self.folder(fingerprint) / WEIGHTS)
        sync(self.folder(fingerprint))

    def weights(self, fingerprint: str) -> Path | None:
        """The file with the final weights of a trial; None if they were not kept."""
        path = self.folder(fingerprint) / WEIGHTS
        return path if path.is_file() else None

    def remove_weights(self, fingerprint: str) -> None:
        """Forgets the weights of a trial, if they were kept; the trial stays."""
        (self.folder(fingerprint) / WEIGHTS).unlink(missing_ok=True)

    def read(self, fingerprints: Iterable[str], *, settled_only: bool = False) -> dict[str, TrialRecord]:
        """Those of the trials that are there, by fingerprint; damaged ones count as not there."""
        found = {}
        for fingerprint in dict.fromkeys(fingerprints):
            try:
                record = TrialRecord.model_validate_json(read_regular(self.folder(fingerprint) / TRIAL))
            except (OSError, ValidationError):
                continue
            if record.fingerprint == fingerprint and (record.status in SETTLED or not settled_only):
                found[fingerprint] = record
        return found

    def predictions(self, fingerprint: str) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays `label`, `predicted` and `true_prob` of a trial that is `ok`, one entry a test image.

        Raises:
            UserError: The trial is damaged.
        """
        if problem := self._problem(fingerprint):
            raise UserError(f"trial {fingerprint}: {problem}; run its question again, which trains it anew")
        with np.load(self.folder(fingerprint) / PREDICTIONS, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("label", "predicted", "true_prob")}

    def set_aside_damaged(self, fingerprints: Iterable[str]) -> list[DamagedTrial]:
        """Moves trials that can't be read, or aren't what their name says, out of the way so they are trained again.

        So it does with everything else in the ledger that is no trial, but for hidden files.

        Args:
            fingerprints: The trials to look at.

        Raises:
            UserError: A folder can't be read, or what is damaged can't be moved.
        """
        try:
            damaged = [set_aside(path, problem, self.root) for path, problem in list(find_foreign(self.root))]
        except OSError as error:
            raise UserError(
                f"{error.filename}: can't be read ({error.strerror}); make it readable or move it away"
            ) from error
        for fingerprint in dict.fromkeys(fingerprints):
            if os.path.lexists(self.folder(fingerprint)) and (problem := self._problem(fingerprint)):
                damaged.append(set_aside(self.folder(fingerprint), problem, self.root))
        return damaged

    def prepare(self) -> None:
        """Makes the ledger's folder ready for writing and clears what a killed run left half-written.

        Raises:
            UserError: The folder can't be written.
        """
        try:
            staging = self.root / ".staging"
            staging.mkdir(parents=True, exist_ok=True)
            for left in staging.iterdir():  # by a run that was killed; a younger one may be another run's, at work
                if time.time() - left.lstat().st_mtime > STALE_S:
                    remove(left)
            for folder in (staging, *self.root.glob("[0-9a-f][0-9a-f]")):  # some may be another user's
                probe = folder / f".{uuid.uuid4().hex}"
                probe.write_text("")
                probe.unlink()
        except OSError as error:
            raise UserError(
                f"results folder {self.root.parent}: can't be written ({error.strerror}: {error.filename}); "
                "give another with --results"
            ) from error

    def _problem(self, fingerprint: str) -> str | None:
        """What is wrong with a trial, if anything is."""
        folder = self.folder(fingerprint)
        try:
            record = TrialRecord.model_validate_json(read_regular(folder / TRIAL))
            if record.fingerprint != fingerprint:
                return f"{TRIAL} belongs to {record.fingerprint}"
            if record.status == "ok" and _sha256(folder / PREDICTIONS) != record.predictions_sha256:
                return f"{PREDICTIONS} is not the file that was written"
        except OSError as error:
            return f"{Path(error.filename or folder).name}: {error.strerror}"
        except ValidationError as error:
            return f"{TRIAL}: {error.errors()[0]['msg']}"
        return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_regular(path)).hexdigest()
