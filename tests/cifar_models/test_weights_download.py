import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_models import weights
from cifar_models.config import PublishedConfig
from cifar_models.models import build_model
from cifar_models.weights import WeightsError, why_missing
from tests.cifar_models.made_weights import file_of, find, go_offline, one_line, publish, publish_at


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return go_offline(tmp_path, monkeypatch)


def test_why_a_file_is_missing_goes_into_records_without_whose_home_it_was(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(empty_cache.parent))
    assert f"or into ~/{empty_cache.name}, or go online (" in str(why_missing("resnet50", file_of("resnet50"), None))


def test_a_file_that_is_nowhere_is_named_with_where_to_put_it(empty_cache: Path) -> None:
    with pytest.raises(WeightsError) as error:
        build_model(PublishedConfig(architecture="resnet50", weights="imagenet"), 10)
    expected = (
        "no ImageNet weights for resnet50: put resnet50-11ad3fa6.pth into the folder given by --weights-dir "
        f"or into {empty_cache}, or go online ("
    )
    assert one_line(error).startswith(expected)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file for DenseNet121 that a server of this machine gives."""
    path = publish(monkeypatch, "densenet121", {"made": torch.ones(3)}, tmp_path / "served")
    with HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(path.parent))) as server:
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        publish_at(monkeypatch, "densenet121", path.name, url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_a_missing_file_is_downloaded_into_torchs_cache(served: Path, empty_cache: Path) -> None:
    path = find("densenet121", None)
    assert path == empty_cache / served.name
    assert path.read_bytes() == served.read_bytes()
    assert socket.getdefaulttimeout() is None


def test_a_wrong_download_is_refused_and_leaves_nothing(served: Path, empty_cache: Path) -> None:
    served.write_bytes(b"something else")
    with pytest.raises(WeightsError) as error:
        find("densenet121", None)
    assert "invalid hash value" in one_line(error)
    assert list(empty_cache.iterdir()) == []


def test_a_failed_download_is_tried_once_only(served: Path) -> None:
    content = served.read_bytes()
    served.unlink()
    with pytest.raises(WeightsError, match="File not found"):
        find("densenet121", None)
    served.write_bytes(content)
    with pytest.raises(WeightsError, match="File not found"):
        find("densenet121", None)


def test_a_silent_server_is_given_up_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "STALL_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        publish_at(monkeypatch, "densenet121", "densenet121-a639ec97.pth", url)
        with pytest.raises(WeightsError, match="timed out"):
            find("densenet121", None)


def test_a_cache_that_cannot_be_made_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "hub").touch()
    with pytest.raises(WeightsError) as error:
        find("resnet50", None)
    assert "no ImageNet weights for resnet50" in one_line(error)
