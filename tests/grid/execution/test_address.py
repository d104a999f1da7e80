"""Where a cluster is said to be: each mistake is one line within seconds, for a run and for the doctor alike."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from grid.errors import UserError
from grid.execution import ray_cluster as module
from grid.execution.doctor import diagnose
from grid.execution.ray_cluster import cluster_address, ray_cluster
from grid.records.files import Folder
from grid.records.ledger import Ledger
from tests.grid.execution.small_runs import DATASET
from tests.grid.test_cli import command

assert DATASET  # it sets RAY_ADDRESS first

NOTED = "get_ray_address_from_environment"


@contextmanager
def http_server() -> Iterator[int]:
    """A port where something else than Ray answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        BaseHTTPRequestHandler.log_message = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are taken, and nobody ever answers; as of a head that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusal(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    """The line for an address, which has to come at once and without Ray."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was asked"))
    begun = time.monotonic()
    with pytest.raises(UserError) as refused, ray_cluster():
        pass
    assert time.monotonic() - begun < 30
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "address", ["nonsense", "localhost", "127.0.0.1", "127.0.0.1:", ":6379", "127.0.0.1:six", "http://127.0.0.1:8265",
                "127.0.0.1:6379\n", "127.0.0.1:65536"],
)  # fmt: skip
def test_what_is_no_address_is_named_with_what_is_one(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    line = refusal(monkeypatch, address)
    assert line.startswith(f"RAY_ADDRESS={address.strip()}: is not HOST:PORT, auto or local; ")
    assert line.endswith("or unset RAY_ADDRESS, to use this machine alone")


def test_the_client_of_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "RAY_ADDRESS=HOST:6379" in refusal(monkeypatch, "ray://127.0.0.1:10001")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "no-such-host.invalid"])
def test_where_nothing_answers(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert refusal(monkeypatch, f"{host}:1").startswith(f"no cluster at RAY_ADDRESS={host}:1 (")


def test_where_something_else_answers_or_nobody_ever_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    with http_server() as port:
        assert "(something else than Ray answers there)" in refusal(monkeypatch, f"127.0.0.1:{port}")
    with silent_server() as port:
        assert "(timed out)" in refusal(monkeypatch, f"127.0.0.1:{port}")


def test_auto_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_found(given: str | None, folder: None) -> None:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr(module, NOTED, none_found)
    assert refusal(monkeypatch, "auto").startswith("RAY_ADDRESS=auto: no cluster runs on this machine; start one")


def test_a_cluster_that_crashed_and_left_its_note_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With RAY_ADDRESS unset, as most people have it."""
    monkeypatch.setattr(module, NOTED, lambda given, folder: "127.0.0.1:1")
    line = refusal(monkeypatch, "")
    assert line.startswith("no cluster at 127.0.0.1:1, where ray start has noted one (") and "ray stop" in line


def test_without_any_address_one_is_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address() is None
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setattr(module, NOTED, lambda given, folder: None)
    assert cluster_address() is None


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.55.0\n    Python: 3.11.7\n"
            "This process on node 10.0.0.1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.8\n",
            "the cluster at 10.0.0.1:6379 runs Ray 2.55.0 on Python 3.11.7, and this is Ray 2.60.0 on Python 3.11.8: ",
        ),
        ("No node info found\nmatching", "Ray at 10.0.0.1:6379 can't be used (No node info found matching)"),
    ],
)
def test_what_ray_says_when_it_does_not_connect_is_one_line(
    monkeypatch: pytest.MonkeyPatch, said: str, line: str
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(module, "check_address", lambda address: None)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UserError) as refused, ray_cluster():
        pass
    assert str(refused.value).startswith(line) and "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_run_and_the_doctor_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    done = command("run", "q3", "--seeds", "1", "--results", tmp_path / "results")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    (found,) = [check for check in diagnose(Ledger(Folder(tmp_path)), lambda: "", None) if check.name == "ray"]
    assert done.stderr == f"cifar-grid: {found.seen}\n"


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_of_another_version_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        with ray_cluster():
            assert ray.is_initialized()
        monkeypatch.setattr(ray, "__version__", "2.0.0")
        with pytest.raises(UserError, match=r"runs Ray 2\.[0-9.]+ on Python .*, and this is Ray 2\.0\.0 on Python"):
            ray_cluster().__enter__()
        assert not ray.is_initialized()
    finally:
        cluster.shutdown()
