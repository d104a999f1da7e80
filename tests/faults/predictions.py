"""Files of predictions that were made to harm whoever reads them."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

NUM_IMAGES = 40
VICTIM = "ESCAPED"
"""What a pickle that is executed makes."""


class Pickle:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (VICTIM,))


def arrays(**changes: Any) -> dict[str, Any]:
    """What belongs there, but for some of it."""
    label = np.arange(NUM_IMAGES, dtype=np.uint8) % 10
    prob = np.linspace(0, 1, NUM_IMAGES).astype(np.float16)
    sound = {"label": label, "predicted": label, "true_prob": prob, "predicted_prob": prob}
    return {name: value for name, value in (sound | changes).items() if value is not None}


def save(path: Path, content: Mapping[str, Any], *, compressed: bool = False) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, value in content.items():
            archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))


def npy(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


def header(text: str, data: bytes = b"", length: int | None = None) -> bytes:
    """An array file with a header of one's own."""
    content = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + (len(content) if length is None else length).to_bytes(2, "little") + content + data


def shaped(shape: str, descr: str = "'|u1'", data: bytes = b"\0" * NUM_IMAGES) -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", data)


def _with(name: str, **changes: Any) -> Callable[[Path], None]:
    def forge(path: Path) -> None:
        save(path, arrays(**{key: value() if callable(value) else value for key, value in changes.items()}))

    forge.__name__ = name
    return forge


def a_zip_bomb(path: Path) -> None:
    """A few megabytes that are four gigabytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("label", "predicted", "true_prob", "predicted_prob"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(shaped(f"({4 * 2**30},)", data=b""))
                for _ in range(4096):
                    stream.write(b"\0" * 2**20)


def names_that_lead_outside(path: Path) -> None:
    save(path, arrays() | {"../../../../victims/ESCAPED": np.zeros(3), "/ESCAPED": np.zeros(3)})


def the_same_name_twice(path: Path) -> None:
    save(path, arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("label.npy", npy(np.zeros(3, dtype=np.uint8)))


def many_names(path: Path) -> None:
    save(path, arrays() | {f"x{n}": b"" for n in range(20_000)})


def no_archive(path: Path) -> None:
    path.write_bytes(npy(np.zeros(NUM_IMAGES, dtype=np.uint8)))


def a_pickle_alone(path: Path) -> None:
    import pickle

    path.write_bytes(pickle.dumps(Pickle()))


def text(path: Path) -> None:
    path.write_text("label, predicted")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half_an_archive(path: Path) -> None:
    save(path, arrays())
    os.truncate(path, path.stat().st_size // 2)


def an_encrypted_entry(path: Path) -> None:
    save(path, arrays())
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 1)
    path.write_bytes(bytes(content))


def an_unknown_compression(path: Path) -> None:
    save(path, arrays())
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] = 99
            at = content.find(mark, at + 1)
    path.write_bytes(bytes(content))


FORGERIES: tuple[Callable[[Path], None], ...] = (
    _with("a pickle among labels", label=lambda: np.array([Pickle()] * NUM_IMAGES, dtype=object)),
    _with("a pickle among probabilities", true_prob=lambda: np.array([Pickle()], dtype=object)),
    _with("lists as objects", predicted=lambda: np.array([[1], [1, 2]], dtype=object)),
    *(_with(f"no {name}", **{name: None}) for name in ("label", "predicted", "true_prob", "predicted_prob")),
    _with("too few", label=lambda: np.zeros(3, dtype=np.uint8)),
    _with("too many", true_prob=lambda: np.zeros(4000, dtype=np.float16)),
    _with("none at all", label=lambda: np.zeros(0, np.uint8), predicted=lambda: np.zeros(0, np.uint8),
          true_prob=lambda: np.zeros(0, np.float16), predicted_prob=lambda: np.zeros(0, np.float16)),
    _with("a square", label=lambda: np.zeros((40, 40), dtype=np.uint8)),
    _with("a number", label=lambda: np.uint8(3), predicted=lambda: np.uint8(3), true_prob=lambda: np.float16(0.5)),
    _with("twenty dimensions", predicted=lambda: np.zeros((1,) * 20, dtype=np.uint8)),
    _with("complex", true_prob=lambda: np.zeros(NUM_IMAGES, dtype=complex)),
    _with("dates", label=lambda: np.zeros(NUM_IMAGES, dtype="M8[s]")),
    _with("text labels", label=lambda: np.array(["<script>"] * NUM_IMAGES)),
    _with("records", label=lambda: np.zeros(NUM_IMAGES, dtype=[("a", "u1"), ("b", "f8")])),
    _with("large labels", label=lambda: np.full(NUM_IMAGES, 2**40)),
    _with("negative labels", label=lambda: np.full(NUM_IMAGES, -5)),
    _with("float labels", label=lambda: np.full(NUM_IMAGES, np.nan)),
    _with("no number", true_prob=lambda: np.full(NUM_IMAGES, np.nan, dtype=np.float16)),
    _with("more than sure", true_prob=lambda: np.full(NUM_IMAGES, np.inf)),
    _with("bool", predicted=lambda: np.ones(NUM_IMAGES, dtype=bool)),
    _with("other classes", predicted=lambda: np.full(NUM_IMAGES, 255, dtype=np.uint8)),
    _with("a huge shape", label=lambda: shaped("(1152921504606846976,)")),
    _with("a shape of gigabytes", label=lambda: shaped("(68719476736,)")),
    _with("a shape that overflows", label=lambda: shaped("(4294967296, 4294967296, 4)")),
    _with("a negative shape", label=lambda: shaped("(-1,)")),
    _with("a shape of text", label=lambda: shaped("('x',)")),
    _with("a shape of bools", label=lambda: shaped("(True,)")),
    _with("a shape that is code", label=lambda: shaped("(__import__('os').mkdir('ESCAPED'),)")),
    _with("a dtype that is code", label=lambda: shaped("(40,)", "__import__('os')")),
    _with("a dtype of nothing", label=lambda: shaped("(40,)", "'|V0'")),
    _with("a dtype of a gigabyte", label=lambda: shaped("(40,)", "'|S1000000000'")),
    _with("a nested dtype", label=lambda: shaped("(40,)", "[" * 500 + "]" * 500)),
    _with("a deep header", label=lambda: header("(" * 9000 + ")" * 9000)),
    _with("a header without end", label=lambda: header("{'descr': '|u1', ", length=60_000)),
    _with("a header of zeros", label=lambda: header("\0" * 100)),
    _with("no header", label=lambda: b"hello"),
    _with("nothing", label=lambda: b""),
    _with("another version", label=lambda: b"\x93NUMPY\x09\x00" + b"\0" * 100),
    a_zip_bomb, names_that_lead_outside, the_same_name_twice, many_names, no_archive, a_pickle_alone, text, empty,
    half_an_archive, an_encrypted_entry, an_unknown_compression,
)  # fmt: skip
