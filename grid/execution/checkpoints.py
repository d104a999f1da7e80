"""States of trials with the curves up to them, on any path or URL that fsspec knows, so that they outlive their node.

    <url>/<fingerprint>/state.safetensors    of a trial that is under way, after one of its epochs
         /<lineage>/state.safetensors        of one that ended, for the same trial with more epochs to go on from

It runs on workers. A checkpoint is written under another name and then moved, so that an earlier one stays until the
new one is whole; how safe the move is depends on the file system, and a checksum finds what it spoilt.
"""

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cifar_models.records import EpochRecord
from grid.errors import UserError
from grid.records.files import Folder

if TYPE_CHECKING:  # torch takes seconds to import, and only workers need it
    from torch import Tensor

    from cifar_models.checkpoint import TrainState

MAX_BYTES = 16 * 2**30
"""Of a checkpoint that is read: a billion weights in fp32, and an optimizer's three numbers for each."""

STATE = "state.safetensors"


class StorageError(UserError):
    """Storage that can't be used: full, out of reach, or not writable. Its message is one line."""


class CheckpointStore:
    """The checkpoints below a path or URL: the last one of each trial. It can be sent to any worker.

    Attributes:
        url: Where they are; of a local path the absolute form, as workers run in folders of their own.
        files: The same as a folder, whose content is reached through no link; None if it is no local path.
    """

    def __init__(self, place: str | Folder) -> None:
        """Takes a path or URL that a user chose, or a folder below the results, which may be a stranger's."""
        self.url = place if isinstance(place, str) else str(place.path)
        self.files = None if isinstance(place, str) else place.absolute()
        with self._reported("used"):
            file_system, path = self._open()
        if isinstance(file_system, LocalFileSystem):
            self.url = path
            self.files = self.files or Folder(Path(path))

    def save(self, name: str, state: "TrainState", epochs: Sequence[EpochRecord]) -> None:
        """Keeps a state and the curves up to it, in place of earlier ones.

        Args:
            name: Fingerprint or lineage of the trial.
            state: What is kept.
            epochs: The curves.

        Raises:
            StorageError: They can't be written; earlier ones are still there.
        """
        from cifar_models.checkpoint import pack_state

        curves = json.dumps([record.model_dump() for record in epochs])
        data = pack_state(state, {"name": name, "epochs": curves})
        with self._reported("written"):
            self._write(name, data)

    def load(self, name: str, state: "TrainState", max_epochs: int) -> tuple[EpochRecord, ...]:
        """Restores what was saved into `state`.

        Args:
            name: Fingerprint or lineage of the trial.
            state: A fresh one of the same trial. It is as before if no checkpoint is there that can be used.
            max_epochs: Epochs of the trial; the state after more of them can't be used.

        Returns:
            The curves up to the saved epoch; none if no checkpoint is there that can be used.

        Raises:
            StorageError: The storage is out of reach.
        """
        from cifar_models.checkpoint import CheckpointError, restore

        tensors, metadata, epochs = self._find(name)
        if not 0 < len(epochs) <= max_epochs:
            return ()
        try:
            restore(state, tensors, metadata)
        except CheckpointError:
            return ()
        return epochs

    def num_epochs(self, name: str) -> int:
        """Epochs after which a state was saved; 0 if there is none that can be used.

        Raises:
            StorageError: The storage is out of reach.
        """
        return len(self._find(name)[2])

    def remove(self, fingerprint: str) -> None:
        """Forgets the checkpoint of a trial, if there is one, and what was left half-written.

        Raises:
            StorageError: It can't be removed.
        """
        with self._reported("removed"):
            self._remove(fingerprint)

    def check(self) -> None:
        """Writes, reads back and removes a probe.

        Raises:
            StorageError: One of these failed; trials would lose their checkpoints.
        """
        name = f"probe-{uuid.uuid4().hex}"
        with self._reported("written, read and removed"):
            self._write(name, name.encode())
            if self._read(name) != name.encode():
                raise OSError("other bytes are read than were written")
            self._remove(name)

    def _find(self, name: str) -> "tuple[dict[str, Tensor], dict[str, str], tuple[EpochRecord, ...]]":
        """Tensors, metadata and curves of what was saved; no curves if nothing is there that can be used."""
        from cifar_models.checkpoint import CheckpointError, unpack

        with self._reported("read"):
            data = self._read(name)
        if data is None:
            return {}, {}, ()
        try:
            tensors, metadata = unpack(data)
            epochs = tuple(EpochRecord.model_validate(record) for record in json.loads(metadata["epochs"]))
            is_it = (metadata["name"], metadata["epoch"]) == (name, str(len(epochs)))
        except (CheckpointError, LookupError, TypeError, ValueError, RecursionError):
            return {}, {}, ()  # damaged, forged, or of an older version: as good as none
        return tensors, metadata, epochs if is_it else ()

    def _write(self, name: str, data: bytes) -> None:
        if self.files is not None:
            self.files.write(f"{name}/{STATE}", data)
            return
        file_system, root = self._open()
        path = f"{root}/{name}/{STATE}"
        file_system.makedirs(f"{root}/{name}", exist_ok=True)
        unfinished = f"{path}-{uuid.uuid4().hex}"
        try:
            file_system.pipe_file(unfinished, data)
            file_system.mv(unfinished, path)
        except Exception:  # full storage should not be filled further
            with contextlib.suppress(Exception):
                file_system.rm_file(unfinished)
            raise

    def _read(self, name: str) -> bytes | None:
        try:
            if self.files is not None:
                return self.files.read(f"{name}/{STATE}", MAX_BYTES)
            file_system, root = self._open()
            data: bytes = file_system.cat_file(f"{root}/{name}/{STATE}")
        except FileNotFoundError:
            return None
        return data

    def _remove(self, name: str) -> None:
        if self.files is not None:
            self.files.remove(name)
            return
        file_system, root = self._open()
        with contextlib.suppress(FileNotFoundError):
            file_system.rm(f"{root}/{name}", recursive=True)

    def _open(self) -> tuple[AbstractFileSystem, str]:
        file_system, path = url_to_fs(self.url)  # made once a process: fsspec keeps it
        return file_system, file_system._strip_protocol(path)

    @contextlib.contextmanager
    def _reported(self, action: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every file system has exceptions of its own
            reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
            remedy = "give a folder or URL that every node can reach and write"
            if isinstance(error, ImportError):
                remedy = "its file system is not installed: for s3://, pip install 'cifar-grid[s3]' on every node"
            raise StorageError(
                f"checkpoint storage {self.url}: can't be {action} ({reason[:200]}); {remedy}"
            ) from error
