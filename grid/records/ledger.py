"""The ledger: every finished trial, one folder each, written whole or not at all.

    ledger/<first two digits>/<fingerprint>/trial.json        configuration, status, curves, final measures
                                           /predictions.npz   what it says of each test image
                                           /weights.safetensors  its final weights, where they were asked for

It is the only truth about what was trained. This class owns every path and file name in it.
"""

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from cifar_models.records import TestRecord
from grid.errors import UserError
from grid.records.damage import DamagedTrial, DamageError, find_foreign, set_aside
from grid.records.files import Folder
from grid.records.predictions import Arrays, pack_predictions, unpack_predictions
from grid.records.signed import read_signed, write_signed
from grid.records.status import SETTLED
from grid.records.trial_record import TrialRecord as TrialRecord

TRIAL = "trial.json"
PREDICTIONS = "predictions.npz"
WEIGHTS = "weights.safetensors"
STAGING = ".staging"
"""Folder in the ledger where trials are written before they get their name."""
WHOLE = ".whole"
"""The trials that were found undamaged, each with its stamp: as long as that is the same they are not read again."""

PART = re.compile("[0-9a-f]{2}")
"""Names of the folders that hold trials: the first two digits of their keys."""

MAX_WEIGHTS_BYTES = 4 * 2**30
"""Of a network's weights: a billion of them in fp32."""


class Ledger:
    """The finished trials below a folder.

    Attributes:
        files: The folder.
    """

    def __init__(self, files: Folder) -> None:
        self.files = files

    def folder(self, fingerprint: str) -> Path:
        """Returns the path of a trial's folder, for messages."""
        return self.files.path / _name(fingerprint)

    def fingerprints(self) -> list[str]:
        """Keys of all trials, sorted."""
        found = (trial for folder in self._parts() for trial in self.files.below(folder).names())
        return [trial for trial in found if self.files.kind(_name(trial, TRIAL)) == "file"]

    def commit(self, record: TrialRecord, test: TestRecord | None = None) -> None:
        """Writes a trial, all of it or nothing. A settled trial that is already there stays as it is."""
        final = _name(record.fingerprint)
        if record.fingerprint in self.read([record.fingerprint], settled_only=True):
            return
        staging = f"{STAGING}/{uuid.uuid4().hex}"
        try:
            if test is not None:
                predictions = pack_predictions(test)
                self.files.write(f"{staging}/{PREDICTIONS}", predictions)
                record = record.model_copy(update={"predictions_sha256": _sha256(predictions)})
            self.files.write(f"{staging}/{TRIAL}", record.model_dump_json(indent=1).encode())
            if self.files.kind(final):  # an earlier try that failed, or was stopped
                self.files.move(final, f"{staging}.old")
            self.files.move(staging, final)
        except OSError:
            with contextlib.suppress(OSError):  # a full disk should not be filled further
                self.files.remove(staging)
            raise
        with contextlib.suppress(OSError):
            self.files.remove(f"{staging}.old")

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
        staging = f"{STAGING}/{uuid.uuid4().hex}"  # where prepare() finds what a killed run leaves
        self.files.write(staging, weights)
        self.files.move(staging, _name(fingerprint, WEIGHTS))

    def has_weights(self, fingerprint: str) -> bool:
        """Whether the final weights of a trial were kept."""
        return self.files.kind(_name(fingerprint, WEIGHTS)) == "file"

    def weights(self, fingerprint: str) -> bytes:
        """The whole of the safetensors file with the final weights of a trial.

        Raises:
            OSError: They were not kept, or can't be read.
        """
        return self.files.read(_name(fingerprint, WEIGHTS), MAX_WEIGHTS_BYTES)

    def remove_weights(self, fingerprint: str) -> None:
        """Forgets the weights of a trial, if they were kept; the trial stays."""
        self.files.remove(_name(fingerprint, WEIGHTS))

    def read(self, fingerprints: Iterable[str], *, settled_only: bool = False) -> dict[str, TrialRecord]:
        """Reads trials, by fingerprint; those that are missing or damaged are left out."""
        found = {}
        for fingerprint in dict.fromkeys(fingerprints):
            try:
                record = TrialRecord.model_validate_json(self.files.read(_name(fingerprint, TRIAL)))
            except (OSError, ValidationError):
                continue
            if record.fingerprint == fingerprint and (record.status in SETTLED or not settled_only):
                found[fingerprint] = record
        return found

    def predictions(self, fingerprint: str) -> Arrays:
        """What a trial that is `ok` says of each test image, as `unpack_predictions` gives it.

        Raises:
            UserError: The trial is damaged.
        """
        try:
            return self.read_whole(fingerprint)[2]
        except DamageError as problem:
            raise UserError(
                f"trial {fingerprint}: {problem}; run its question again, which trains it anew"
            ) from problem

    def set_aside_damaged(self, fingerprints: Iterable[str]) -> list[DamagedTrial]:
        """Moves trials that can't be read, or aren't what their name says, out of the way so they are trained again.

        So it does with everything else in the ledger that is no trial, but for hidden files.

        Args:
            fingerprints: The trials to look at.

        Raises:
            UserError: A folder can't be read, or what is damaged can't be moved.
        """
        try:
            foreign = list(find_foreign(self.files))
        except OSError as error:
            raise UserError(
                f"{error.filename}: can't be read ({error.strerror}); make it readable or move it away"
            ) from error
        damaged = [set_aside(self.files, name, problem) for name, problem in foreign]
        known = self._known_whole()
        whole = {}
        for fingerprint in dict.fromkeys(fingerprints):
            try:
                if (stamp := self.stamp(fingerprint)) is None:
                    continue
                if not stamp or known.get(fingerprint) != stamp:
                    self.read_whole(fingerprint)
                whole[fingerprint] = stamp
            except DamageError as problem:
                damaged.append(set_aside(self.files, _name(fingerprint), str(problem)))
            except OSError as error:
                problem_in_words = f"{Path(error.filename or fingerprint).name}: {error.strerror}"
                damaged.append(set_aside(self.files, _name(fingerprint), problem_in_words))
        self.note_whole(whole)
        return damaged

    def note_whole(self, stamps: Mapping[str, str]) -> None:
        """Remembers trials that were found undamaged, with the stamp that each had before it was read."""
        known = self._known_whole()
        if not stamps.items() <= known.items():
            write_signed(self.files, WHOLE, json.dumps({**known, **stamps}).encode())

    def _known_whole(self) -> dict[str, str]:
        known: dict[str, str] = json.loads(read_signed(self.files, WHOLE) or "{}")
        return known

    def stamp(self, fingerprint: str) -> str | None:
        """What differs after every change of a trial's record and predictions; None if the trial is not there.

        Returns:
            Hexadecimal digits; none if that can't be told, since what is there is no folder or can't be read.

        Raises:
            OSError: A folder around it can't be read.
        """
        name = _name(fingerprint)
        found = {}
        with contextlib.suppress(OSError):
            found = self.files.below(name).stamps()
        if not found:  # it is not there, or no folder that can be read, or an empty one
            return "" if self.files.kind(name) else None
        stamp = " ".join(found.get(file, "-") for file in (TRIAL, PREDICTIONS))
        return hashlib.sha256(stamp.encode()).hexdigest()[:32]

    def prepare(self) -> None:
        """Makes the ledger's folder ready for writing and clears what a killed run left half-written.

        Raises:
            UserError: The folder can't be written.
        """
        staging = self.files.below(STAGING)
        try:
            staging.make()
            staging.clear(re.compile(".*"))
            for folder in filter(re.compile(f"{PART.pattern}|{re.escape(STAGING)}").fullmatch, self.files.names()):
                # some may be another user's, or no folder
                self.files.below(folder).check_writable()
        except OSError as error:
            raise UserError(
                f"results folder {self.files.path.parent}: can't be written ({error.strerror}: {error.filename}); "
                "give another with --results"
            ) from error

    def _parts(self) -> list[str]:
        """Names of the folders that hold trials: the first two digits of their keys."""
        return [name for name in self.files.names() if PART.fullmatch(name) and self.files.kind(name) == "folder"]

    def read_whole(self, fingerprint: str) -> tuple[TrialRecord, str, Arrays]:
        """A trial, the SHA-256 of its record, and its predictions, none unless it is `ok`.

        Raises:
            DamageError: It is not there, or something is wrong with it.
        """
        name = TRIAL
        try:
            content = self.files.read(_name(fingerprint, TRIAL))
            record, digest = TrialRecord.model_validate_json(content), _sha256(content)
            if record.fingerprint != fingerprint:
                raise DamageError(f"{TRIAL} belongs to {record.fingerprint}")
            if record.status != "ok":
                return record, digest, {}
            name = PREDICTIONS
            packed = self.files.read(_name(fingerprint, PREDICTIONS))
            if _sha256(packed) != record.predictions_sha256:
                raise DamageError(f"{PREDICTIONS} is not the file that was written")
            return record, digest, unpack_predictions(packed, record.format)
        except OSError as error:
            raise DamageError(f"{Path(error.filename or name).name}: {error.strerror}") from error
        except ValidationError as error:
            raise DamageError(f"{TRIAL}: {error.errors()[0]['msg']}") from error
        except ValueError as error:
            raise DamageError(f"{PREDICTIONS}: {error}") from error


def _name(fingerprint: str, *file: str) -> str:
    """Name of a trial's folder in the ledger, or of a file in it."""
    return "/".join((fingerprint[:2], fingerprint, *file))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
