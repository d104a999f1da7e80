"""A server of this machine that speaks S3, and an environment in which every process finds it."""

import functools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from s3fs import S3FileSystem

BUCKET = "grid"


@contextmanager
def running_s3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Moto's server with one bucket; gives the URL of a place in it, which this and all new processes can use."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # fsspec keeps those of another server
    log = folder / "s3.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 60
        while "Running on" not in log.read_text():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        client(environment["AWS_ENDPOINT_URL"]).create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}/checkpoints"
    finally:
        server.kill()
        server.wait()
        S3FileSystem.clear_instance_cache()


def stored(url: str) -> list[str]:
    """What the server says is below a URL, asked anew and not through the code that is tested."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    listing = client(os.environ["AWS_ENDPOINT_URL"]).list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for entry in listing.get("Contents", [])]


def content(url: str) -> bytes:
    """The bytes of an object."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bytes(client(os.environ["AWS_ENDPOINT_URL"]).get_object(Bucket=bucket, Key=key)["Body"].read())


@functools.cache
def client(endpoint: str) -> Any:
    """What speaks with the server; it takes a while to make."""
    return boto3.client("s3", endpoint_url=endpoint)
