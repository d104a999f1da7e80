"""Values that no field expects, and where in a JSON document they can be put."""

import json
from collections.abc import Iterator
from typing import Any

from tests.faults.attempts import SCRIPT

Location = tuple[str | int, ...]

DEEP = "deep-2f1c"
"""Stands for ten thousand lists in one another, which no Python object can be."""
VICTIMS = "victims-2f1c"
"""Stands for the absolute path of the victims."""

HOSTILE: tuple[Any, ...] = (
    "../../ESCAPED", "../../victims/letter.txt", f"{VICTIMS}/ESCAPED", f"{VICTIMS}/letter.txt", "..", ".", "/", "", " ",
    "a/b", "..\\..\\ESCAPED", "~", "*", "$(touch ESCAPED)", SCRIPT, "javascript:alert(1)", "{{ 7 * 7 }}",
    "[bold]x[/bold]", "[/]", "\x1b[2J\x1b]0;x\x07", "a\nb", "a\rb", "\u202ea", "\ud800", "\x00", "x" * 300,
    "x" * 100_000, "1e-3", "NaN", "null", None, True, False, 0, 1, -1, 2.5, 1e-320, 1e308, -1e308, 2**31, 2**63,
    10**30, 10**400, float("nan"), float("inf"), float("-inf"), [], {}, [None], {"a": 1}, [[[[]]]],
    {"__class__": "x"}, DEEP,
)  # fmt: skip


def locations(value: Any, here: Location = ()) -> Iterator[Location]:
    """Every place in a document; of a list only the first entry and the last."""
    if here:
        yield here
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from locations(inner, (*here, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} if value else ()):
            yield from locations(value[index], (*here, index))


def with_value(document: Any, location: Location, value: Any) -> Any:
    """A copy of a document with another value in one place."""
    copy = json.loads(json.dumps(document))
    parent = copy
    for part in location[:-1]:
        parent = parent[part]
    parent[location[-1]] = value
    return copy


def written(document: Any, victims: str) -> bytes:
    """A document as JSON, whatever JSON may hold."""
    text = json.dumps(document, indent=1)
    text = text.replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)
    return text.replace(VICTIMS, victims).encode()
