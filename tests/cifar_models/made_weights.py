"""Files of weights that the tests publish, and a machine on which nothing else can be had."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_models import weights
from cifar_models.config import PublishedConfig
from cifar_models.models import build_model
from cifar_models.published import FAMILIES
from cifar_models.weights import WeightsError, WeightsFile, find_weights

NOWHERE = "http://127.0.0.1:9/nothing"


def go_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's cache, empty, and no memory of failed downloads; nothing is on line."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    for architecture, family in list(FAMILIES.items()):
        if family.weights.url:
            publish_at(monkeypatch, architecture, family.weights.name, sha256=family.weights.sha256)
    weights._download_problem.cache_clear()
    return tmp_path / "hub" / "checkpoints"


def publish(monkeypatch: pytest.MonkeyPatch, architecture: str, content: Any, folder: Path, **save: Any) -> Path:
    """Saves `content` as the published file of an architecture would be, its name ending in its own checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    unnamed = folder / "unnamed"
    torch.save(content, unnamed, **save)
    return publish_file(monkeypatch, architecture, unnamed)


def publish_file(monkeypatch: pytest.MonkeyPatch, architecture: str, unnamed: Path, url: str = NOWHERE) -> Path:
    digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()
    path = unnamed.rename(unnamed.parent / f"{architecture}-{digest[:8]}.pth")
    publish_at(monkeypatch, architecture, path.name, url)
    return path


def publish_at(
    monkeypatch: pytest.MonkeyPatch, architecture: Any, name: str, url: str = NOWHERE, sha256: str | None = None
) -> None:
    """Makes a file the published one of an architecture."""
    family = FAMILIES[architecture]
    file = replace(family.weights, name=name, url=url, sha256=sha256)
    monkeypatch.setitem(FAMILIES, architecture, replace(family, weights=file))


def file_of(architecture: Any) -> WeightsFile:
    return FAMILIES[architecture].weights


def find(architecture: str, weights_dir: Path | None) -> Path:
    return find_weights(architecture, file_of(architecture), weights_dir)


def densenet_state() -> dict[str, Tensor]:
    """Weights of a DenseNet121 with ImageNet's outputs, each layer of one value of its own; quick to make and save."""
    with torch.device("meta"):
        model = build_model(PublishedConfig(architecture="densenet121"), 1000).get_submodule("network")
    state = enumerate(model.state_dict().items())
    return {name: torch.tensor(float(i), dtype=value.dtype).expand(value.shape) for i, (name, value) in state}


def one_line(error: pytest.ExceptionInfo[WeightsError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
