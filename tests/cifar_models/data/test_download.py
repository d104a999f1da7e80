import hashlib
import re
import shutil
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from torchvision import datasets

from cifar_models.data.cifar import CIFAR10, Cifar
from cifar_models.data.download import download
from cifar_models.data.errors import DataError
from cifar_models.data.readers import BatchesReader
from tests.cifar_models.data.made_data import write_batches


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Cifar]]:
    """A small archive on a server of this machine, published under the names of CIFAR-10; its path and its Cifar."""
    served = tmp_path / "served"
    cifar = write_batches(served / CIFAR10.batches_folder)
    archive = served / datasets.CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(served / CIFAR10.batches_folder, CIFAR10.batches_folder)
    with HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(served))) as server:
        monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
        monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield archive, cifar
        server.shutdown()
        thread.join()


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_archive_is_downloaded_unpacked_and_nothing_else_is_left(tmp_path: Path, published: tuple[Path, Cifar]) -> None:
    _, cifar = published
    download(cifar, tmp_path / "data")
    assert listing(tmp_path / "data") == [CIFAR10.batches_folder]
    contents = BatchesReader(cifar, tmp_path / "data" / CIFAR10.batches_folder).read()
    assert (len(contents.train.images), len(contents.test.images)) == (100, 20)


def test_archive_that_is_there_already_needs_no_network(
    tmp_path: Path, published: tuple[Path, Cifar], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, cifar = published
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/nothing")
    (tmp_path / "data").mkdir()
    shutil.copy(archive, tmp_path / "data")
    download(cifar, tmp_path / "data")
    assert listing(tmp_path / "data") == [CIFAR10.batches_folder, archive.name]


def test_archive_with_another_checksum_is_not_unpacked(
    tmp_path: Path, published: tuple[Path, Cifar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(DataError, match=r"can't download CIFAR-10 \(File not found or corrupted.\)"):
        download(published[1], tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_without_a_network_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{unused.getsockname()[1]}/archive.tar.gz")
        with pytest.raises(DataError) as caught:
            download(CIFAR10, tmp_path / "data")
    message = str(caught.value)
    assert re.match(
        r"can.t download CIFAR-10 \(\[Errno \d+\] Connection refused\): put the torchvision folder", message
    )
    assert message.endswith("in a folder DIR and pass --data-dir DIR")
    assert "\n" not in message
    assert not (tmp_path / "data").exists()
    assert socket.getdefaulttimeout() is None


def test_folder_that_another_process_downloaded_meanwhile_is_kept(
    tmp_path: Path, published: tuple[Path, Cifar]
) -> None:
    _, cifar = published
    theirs = tmp_path / "data" / CIFAR10.batches_folder
    theirs.mkdir(parents=True)
    (theirs / "data_batch_1").write_text("theirs")
    download(cifar, tmp_path / "data")
    assert (theirs / "data_batch_1").read_text() == "theirs"
    assert listing(tmp_path / "data") == [CIFAR10.batches_folder]
