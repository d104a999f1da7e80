"""Random harm to bytes, to JSON documents and to whole folders; a generator decides all of it."""

import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.hostile import HOSTILE, locations, with_value, written

MAX_BYTES = 2**20


def mutated_bytes(content: bytes, draw: Random) -> bytes:
    """A copy with a few bytes changed, cut out, repeated or put in."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5, 20))):
        at = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 1, 2, 8, 100, 1000))
        match draw.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << draw.randrange(8)
            case 1:
                changed[at : at + length] = draw.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                del changed[at:]
            case 5:
                changed[at:at] = draw.choice((b"\0", b"\xff" * 8, b"\n", b"{", b'"', b"../", b"9" * 50, b"-", b"nan"))
            case _ if at < len(changed):
                changed[at] = draw.choice((0, 0xFF, 0x7F, 0x80))
    return bytes(changed[:MAX_BYTES])


def mutated_json(content: bytes, draw: Random, victims: str) -> bytes:
    """A copy of a document with a value replaced or left out; of bytes that are none, with bytes changed."""
    try:
        document: Any = json.loads(content)
    except ValueError:
        return mutated_bytes(content, draw)
    for _ in range(draw.choice((1, 1, 2))):
        places = list(locations(document))
        if not places:
            break
        location = draw.choice(places)
        if draw.random() < 0.2:
            parent = document = json.loads(json.dumps(document))
            for part in location[:-1]:
                parent = parent[part]
            del parent[location[-1]]
        else:
            document = with_value(document, location, draw.choice(HOSTILE))
    return written(document, victims)


def mutate_folder(root: Path, draw: Random, victims: Path) -> None:
    """Does one thing to one file or folder below a folder."""
    paths = sorted(root.rglob("*"))
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    if not files:
        return
    path, file = draw.choice(paths), draw.choice(files)
    if draw.random() < 0.5:  # most of the files are read as JSON, and most of the trouble is there
        file = draw.choice([path for path in files if path.suffix == ".json"] or files)
    other = draw.choice(paths)
    match draw.randrange(12):
        case 0 | 1 | 2:
            file.write_bytes(mutated_bytes(file.read_bytes(), draw))
        case 3 | 4 | 5:
            file.write_bytes(mutated_json(file.read_bytes(), draw, str(victims)))
        case 6:
            file.write_bytes(draw.choice(files).read_bytes())
        case 7:
            _remove(path)
        case 8 if not other.is_relative_to(path) and not path.is_relative_to(other):
            _remove(other)
            path.rename(other)
        case 9 if file.parent != root.parent:
            file.with_name(_name(file.name, draw)).write_bytes(file.read_bytes())  # the name may be the same
        case 10:
            _remove(path)
            draw.choice((os.mkfifo, Path.mkdir, Path.touch, lambda place: place.symlink_to(victims)))(path)
        case _:
            path.chmod(draw.choice((0, 0o200, 0o444, 0o555, 0o777)))


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _name(name: str, draw: Random) -> str:
    letters = bytearray(os.fsencode(name))
    letters[draw.randrange(len(letters))] = draw.choice(b"0aAzf.-_ \n\x1b\xff")
    return os.fsdecode(bytes(letters)) if bytes(letters) not in (b".", b"..") else "x"
