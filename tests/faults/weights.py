"""Files of weights and checkpoints that lie: their header, what it says of itself, and values that no network has."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from random import Random
from typing import Any

import torch
from torch import Tensor

from cifar_models.checkpoint import _pack
from tests.faults.attempts import Attempt, Case
from tests.faults.commands import export, report, run
from tests.faults.hostile import HOSTILE, locations, with_value, written
from tests.faults.sound import Sound

ODD_HEADERS = (
    b"", b"\x00" * 7, b"\x00" * 8, b"\xff" * 8, b"hello, world " * 10, b"\x80\x02}q\x00." * 100, b"PK\x03\x04",
    (2**40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
    (100_000).to_bytes(8, "little") + b"[" * 100_000, (99_999_999).to_bytes(8, "little") + b"{" + b" " * 1000,
)  # fmt: skip


def attempts(sound: Sound) -> Iterator[Attempt]:
    """The kept weights of a trial, which `export` writes; and the checkpoint from which `run` goes on."""
    key = sorted(sound.trials)[0]
    kept = f"ledger/{key[:2]}/{key}/weights.safetensors"
    checkpoint = f"checkpoints/{sound.stopped}/state.safetensors"
    for path, commands in ((kept, (export, report)), (checkpoint, (run,))):
        fault = "forged weights" if path is kept else "a forged checkpoint"
        content = (sound.results / path).read_bytes()
        for odd, command in product(ODD_HEADERS, commands):
            yield Attempt(fault, f"{odd!r:.30}: {command.__name__}", _bytes(path, odd), command)
        header = _header(content)
        for location, value in product(locations(header), HOSTILE):
            shown = f"{'.'.join(map(str, location))} = {value!r:.40}"
            yield Attempt(fault, shown, _with_header(path, location, value), commands[0])
    tensors, metadata = _tensors((sound.results / checkpoint).read_bytes())
    for name, value in product(metadata, HOSTILE):
        yield Attempt("a forged checkpoint", f"signed {name} = {value!r:.40}", _signed(checkpoint, name, value), run)
    for name, (how, change) in product(list(tensors)[:4] + list(tensors)[-4:], TENSORS.items()):
        yield Attempt("a forged checkpoint", f"signed {name}: {how}", _changed(checkpoint, name, change), run)


TENSORS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "no number": lambda value: torch.full_like(value, float("nan")) if value.is_floating_point() else value - 10**9,
    "infinite": lambda value: torch.full_like(value, float("inf")) if value.is_floating_point() else value + 2**40,
    "another shape": lambda value: value.flatten()[:1].expand(7).clone() if value.numel() else torch.zeros(7),
    "a number alone": lambda value: torch.zeros(()),
    "another dtype": lambda value: value.to(torch.float64),
    "complex": lambda value: value.to(torch.complex64),
    "empty": lambda value: torch.zeros(0),
}


def _header(content: bytes) -> Any:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def _tensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors.torch import load

    metadata = dict(_header(content)["__metadata__"])
    del metadata["sha256"]
    return load(content), metadata


def _bytes(path: str, content: bytes) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        (case.results / path).write_bytes(content)

    return prepare


def _with_header(path: str, location: tuple[str | int, ...], value: Any) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        content = (case.results / path).read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = written(with_value(_header(content), location, value), str(case.victims))
        (case.results / path).write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])

    return prepare


def _signed(path: str, name: str, value: Any) -> Callable[[Case, Random], None]:
    """One entry of the metadata replaced, as JSON and as it is, and the checksum made anew."""

    def prepare(case: Case, draw: Random) -> None:
        tensors, metadata = _tensors((case.results / path).read_bytes())
        text = value if isinstance(value, str) and draw.random() < 0.5 else written(value, str(case.victims)).decode()
        text = text.encode("utf-8", "replace").decode()
        (case.results / path).write_bytes(_pack(tensors, metadata | {name: text}))

    return prepare


def _changed(path: str, name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Case, Random], None]:
    def prepare(case: Case, _: Random) -> None:
        tensors, metadata = _tensors((case.results / path).read_bytes())
        tensors[name] = change(tensors[name])
        (case.results / path).write_bytes(_pack(tensors, metadata))

    return prepare
