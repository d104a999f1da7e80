"""YAML that remembers on which line each value stood, so that an error can point at it.

Only what a question needs is read: mappings with text as keys, lists, text, numbers, true, false and null. What YAML
has beside that lets a few lines stand for billions of values, or makes a value something else than it looks.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from grid.errors import QuestionError

Location = tuple[str | int, ...]

MAX_BYTES = 100_000
"""A question is a few pages of text; whatever is larger is not a question."""
MAX_DEPTH = 16
"""Levels of lists and mappings; a question has seven at most."""
MAX_KEY = 80
"""Characters of a field's name."""
MAX_NUMBER = 100
"""Characters of a number: what has more would be as long in every message and every label."""
MAX_MESSAGE = 1_000
"""Characters of a message."""

TEXT = "tag:yaml.org,2002:str"
PLAIN = {TEXT.replace("str", name) for name in ("str", "int", "float", "bool", "null", "seq", "map")}

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal or turn the direction of writing, and halves of characters."""


@dataclass(frozen=True)
class SourcedYaml:
    """A parsed YAML file.

    Attributes:
        path: Where it was read.
        value: The document as dicts, lists and scalars.
        lines: Line (from 1) of every key and list entry, by its location in the document.
    """

    path: Path
    value: Any
    lines: Mapping[Location, int]

    def error(self, location: Location, message: str) -> QuestionError:
        """An error that names the file and the line nearest to `location`."""
        message = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
        for end in range(len(location), -1, -1):
            if location[:end] in self.lines:
                return QuestionError(f"{self.path}:{self.lines[location[:end]]}: {message}")
        return QuestionError(f"{self.path}: {message}")


def read_yaml(path: Path) -> SourcedYaml:
    """Reads one YAML document.

    Raises:
        QuestionError: The file can't be read, is too large, is not YAML, repeats a key, or holds what a question has
            no use for: aliases, tags, dates, control characters, more than `MAX_DEPTH` levels.
    """
    text = _read_text(path)
    lines: dict[Location, int] = {}
    try:
        value = _parse(text, lines)
    except _RefusedError as error:
        raise QuestionError(f"{path}:{error.line}: {error}") from None
    except yaml.YAMLError as error:
        raise QuestionError(_syntax_message(path, text, error)) from error
    except ValueError as error:  # a number without digits
        raise QuestionError(f"{path}: not usable as YAML: {' '.join(str(error).split())}") from error
    if not lines:
        raise QuestionError(f"{path}: the file is empty")
    return SourcedYaml(path, value, lines)


def read_value(text: str) -> Any:
    """Reads a value that stands alone, such as on a command line; None if there is none.

    Raises:
        ValueError: It is too long, is not YAML, or holds what a question may not hold either. The message is one line.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"a value of more than {MAX_BYTES:,} characters")
    try:
        return _parse(text, {})
    except _RefusedError as error:
        raise ValueError(str(error)) from None
    except yaml.YAMLError as error:
        raise ValueError("not valid YAML") from error


def _parse(text: str, lines: dict[Location, int]) -> Any:
    """The one document of a text, and into `lines` where everything stands; None, and no lines, of an empty text."""
    loader = _PlainLoader(text)
    node = loader.get_single_node()
    if node is None:
        return None
    _record_lines(node, (), lines)
    return loader.construct_document(node)


def _read_text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise QuestionError(f"{path}: can't be read: not a file")  # a device or a pipe might never end
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise QuestionError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise QuestionError(f"{path}: larger than {MAX_BYTES:,} bytes; a question file is a few pages of text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuestionError(f"{path}: not a UTF-8 text file") from error


class _RefusedError(Exception):
    """Valid YAML that a question may not hold."""

    def __init__(self, where: Any, message: str) -> None:
        super().__init__(message)
        self.line = where.start_mark.line + 1  # of a node or an event


class _PlainLoader(yaml.SafeLoader):
    """Stops at the first alias, tag, or level too many: later it may be too late."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _RefusedError(event, f"YAML aliases (*{event.anchor:.80}) are not allowed; write the value out")
        if event.tag not in (None, "!"):
            raise _RefusedError(event, "YAML tags (such as !!int) are not allowed; write the value without")
        if self.depth == MAX_DEPTH:
            raise _RefusedError(event, f"more than {MAX_DEPTH} levels of lists and mappings")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _record_lines(node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    """Notes where everything stands, and refuses values that are not plain."""
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            here = (*location, _key(key_node))
            if here in lines:
                raise _RefusedError(key_node, f"{key_node.value!r} is given twice; keep one of them")
            lines[here] = key_node.start_mark.line + 1
            _record_lines(value_node, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            _record_lines(entry, (*location, index), lines)
    else:
        _refuse_unusable(node)


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _RefusedError(node, "a list or a mapping can't be the name of a field")
    _refuse_unusable(node)
    if node.tag != TEXT:
        raise _RefusedError(node, f"{node.value!r:.80} names a field; put it in quotes")
    if len(node.value) > MAX_KEY or "\n" in node.value or "\t" in node.value:
        raise _RefusedError(node, f"{node.value!r:.80} is no field; names have at most {MAX_KEY}, no tab")
    return str(node.value)


def _refuse_unusable(node: yaml.Node) -> None:
    if unsafe := UNSAFE.search(node.value):
        raise _RefusedError(node, f"the control character {unsafe[0]!a} is not allowed in text")
    if node.tag not in PLAIN:
        found = node.tag.rpartition(":")[2]
        raise _RefusedError(node, f"{node.value!r:.80} is YAML for a {found}; put text in quotes")
    if node.tag != TEXT and len(node.value) > MAX_NUMBER:
        raise _RefusedError(node, f"a number of more than {MAX_NUMBER} characters; put text in quotes")


def _syntax_message(path: Path, text: str, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{path}:{line}: the control character {text[error.position]!a} is not allowed"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return f"{where}: not valid YAML: {' '.join(problem.split())[:MAX_MESSAGE]}"
