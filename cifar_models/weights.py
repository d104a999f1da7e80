"""Weights trained on ImageNet: found on disk or downloaded, verified and loaded, never as arbitrary pickles."""

import contextlib
import functools
import hashlib
import http.client
import importlib.util
import os
import pickle
import re
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cifar_models.data.download import stalling_is_an_error

IMAGENET_CLASSES = 1000

STALL_S = 5
"""Seconds without a byte after which a connection is given up; torch itself would wait forever."""

# What torch.load raises for files that hold something else; it has no exception of its own.
_UNREADABLE = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, pickle.UnpicklingError)


class WeightsError(Exception):
    """Published weights that can't be had or used. Its message is one line that says what to do about it."""


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights.

    Attributes:
        name: Its name, which ends in the first eight digits of the SHA-256 of its content.
        url: Where it is downloaded from; None if it comes in a package.
        sha256: All 64 digits. If None, they are not known, and those of the first file that is used are kept beside
            torch's cache and have to be met ever after.
        package: The package whose folder `models` holds it, if there is one.
        renamed: A pattern that finds old names of layers, and what it is to be replaced by; None if none are old.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    package: str | None = None
    renamed: tuple[str, str] | None = None

    @property
    def sha256_prefix(self) -> str:
        """The digits that its SHA-256 begins with: all of them, or the eight in its name."""
        return self.sha256 or self.name.removesuffix(".pth").rpartition("-")[2]


def of_torchvision(name: str, sha256: str | None = None, renamed: tuple[str, str] | None = None) -> WeightsFile:
    """A file of torchvision's."""
    return WeightsFile(name, f"https://download.pytorch.org/models/{name}", sha256, renamed=renamed)


def load_published_weights(model: nn.Module, architecture: str, file: WeightsFile, weights_dir: Path | None) -> None:
    """Replaces all parameters and buffers of a network by the published ones, as float32 on the CPU.

    Args:
        model: The architecture with all of ImageNet's outputs; it may be on the meta device.
        architecture: Its name, for messages.
        file: Its published weights.
        weights_dir: Where the file is looked for first.

    Raises:
        WeightsError: The file can't be had, or holds something else.
    """
    path = find_weights(architecture, file, weights_dir)
    state = _read(path)
    if file.renamed is not None:
        old, new = file.renamed
        state = {re.sub(old, new, name): value for name, value in state.items()}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise WeightsError(
            f"{path} holds the weights of another network than {architecture} ({first[0].strip()[:120]}): "
            "put the published file of that name in its place"
        ) from error


def find_weights(architecture: str, file: WeightsFile, weights_dir: Path | None) -> Path:
    """The published file of an architecture, verified; downloaded into torch's own cache if it isn't on this machine.

    It is looked for in `weights_dir`, then in that cache, or in its package.

    Args:
        architecture: Its name, for messages.
        file: Its published weights.
        weights_dir: A folder that holds such files under their published names, or None.

    Raises:
        WeightsError: It is nowhere, or not the file that was published.
    """
    path = _locate(architecture, file, weights_dir, _download_problem)
    _verify(path, file)
    return path


def why_missing(architecture: str, file: WeightsFile, weights_dir: Path | None) -> str | None:
    """Why the published file of an architecture can't be had here, in a line; None if it may. Downloads nothing.

    Arguments are those of `find_weights`. A `weights_dir` that is no folder is a mistake, which whoever needs it is
    told; here it counts as if the file may be had.
    """
    if weights_dir is not None and not weights_dir.is_dir():
        return None
    try:
        _locate(architecture, file, weights_dir, _connection_problem)
    except WeightsError as error:
        return str(error)
    return None


def _locate(
    architecture: str,
    file: WeightsFile,
    weights_dir: Path | None,
    reach: Callable[[WeightsFile, Path], str | None],
) -> Path:
    """Where the file is; where it is nowhere, `reach` gets it there, or says why it can't."""
    if weights_dir is not None and not weights_dir.is_dir():
        wrong = "is a file, not a folder" if weights_dir.exists() else "does not exist"
        raise WeightsError(f"--weights-dir {weights_dir} {wrong}: give the folder that holds {file.name}")
    usual = _usual_place(file)
    places = [folder / file.name for folder in (weights_dir, usual) if folder]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        into_weights_dir = f"put {file.name} into the folder given by --weights-dir"
        if file.url is None or usual is None:
            raise WeightsError(
                f"no ImageNet weights for {architecture}: pip install 'cifar-grid[pretrained]', or {into_weights_dir}"
            )
        path = usual / file.name
        problem = reach(file, path)
        if problem:
            raise WeightsError(
                f"no ImageNet weights for {architecture}: {into_weights_dir} or into {_for_all(usual)}, "
                f"or go online ({problem})"
            )
    return path


def _for_all(folder: Path) -> str:
    """A folder as it may stand in a record, which is published with its results: without whose home it was in."""
    home = Path.home()
    return str(Path("~") / folder.relative_to(home)) if folder.is_relative_to(home) else str(folder)


def _usual_place(file: WeightsFile) -> Path | None:
    if file.url is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    package = importlib.util.find_spec(file.package) if file.package else None
    return None if package is None or package.origin is None else Path(package.origin).parent / "models"


@functools.cache  # offline, every trial of a process would otherwise wait for the same failure
def _download_problem(file: WeightsFile, path: Path) -> str | None:
    """Downloads a file, complete and with its checksum or not at all; why it couldn't be, if it couldn't."""
    assert file.url is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with stalling_is_an_error(STALL_S):
            torch.hub.download_url_to_file(file.url, str(path), file.sha256_prefix, progress=False)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        return _said(error)
    return None


@functools.cache
def _connection_problem(file: WeightsFile, path: Path) -> str | None:
    """Why a file could not be downloaded, as far as that shows without downloading it."""
    assert file.url is not None
    folder = next(parent for parent in path.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        return f"{folder} can't be written"
    try:
        with stalling_is_an_error(STALL_S), urllib.request.urlopen(file.url):
            return None
    except (OSError, http.client.HTTPException) as error:
        return _said(error)


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def _verify(path: Path, file: WeightsFile) -> None:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} can't be read ({error.strerror or error})") from error
    if not digest.startswith(file.sha256_prefix):
        raise WeightsError(
            f"{path} is damaged or another file (its SHA-256 is {digest}, not {file.sha256_prefix}"
            f"{'' if file.sha256 else '...'}): delete it, or put the published file of that name in its place"
        )
    if file.sha256 is None:
        _compare_with_first_use(path, file, digest)


def _compare_with_first_use(path: Path, file: WeightsFile, digest: str) -> None:
    """Keeps all digits of a file of which eight are known, the first time; later they have to be the same."""
    record = Path(torch.hub.get_dir()) / "checkpoints" / f"{file.name}.sha256"
    with contextlib.suppress(OSError):  # a cache that can't be written or read keeps no memory, as without it
        record.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), tempfile.NamedTemporaryFile(dir=record.parent) as whole:
            whole.write(f"{digest}\n".encode())
            whole.flush()
            os.link(whole.name, record)  # whole, and never over what another process was the first to keep
        first = record.read_text().strip()
        if first != digest:
            raise WeightsError(
                f"{path} is not the file that was used before (its SHA-256 is {digest}, not {first}): put that one in "
                f"its place, or, if you know that this one is right, delete {record}"
            )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*_UNREADABLE, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(f"{path} can't be read as weights ({reason})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no weights, but {type(state).__name__}")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
