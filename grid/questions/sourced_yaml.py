"""YAML that remembers on which line each value stood, so that an error can point at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from grid.errors import QuestionError

Location = tuple[str | int, ...]

MAX_BYTES = 1_000_000
"""A question is a page of text; whatever is larger is not a question."""


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
        for end in range(len(location), -1, -1):
            if location[:end] in self.lines:
                return QuestionError(f"{self.path}:{self.lines[location[:end]]}: {message}")
        return QuestionError(f"{self.path}: {message}")


def read_yaml(path: Path) -> SourcedYaml:
    """Reads one YAML document.

    Raises:
        QuestionError: The file can't be read, is too large, is not YAML, repeats a key or uses an alias
            (aliases let a few lines stand for billions of values).
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise QuestionError(f"{path}: larger than {MAX_BYTES:,} bytes; a question file is a page of text")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise QuestionError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise QuestionError(f"{path}: not a UTF-8 text file") from error
    lines: dict[Location, int] = {}
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                where = token.start_mark.line + 1
                raise QuestionError(
                    f"{path}:{where}: YAML aliases (*{token.value}) are not allowed; write the value out"
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise QuestionError(f"{path}: the file is empty")
        _record_lines(path, node, (), lines)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise QuestionError(_syntax_message(path, error)) from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        # an impossible date, a tag on the wrong value, nesting without end
        raise QuestionError(f"{path}: not usable as YAML: {' '.join(str(error).split())}") from error
    return SourcedYaml(path, value, lines)


def _record_lines(path: Path, node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*location, key)
            if here in lines:
                raise QuestionError(f"{path}:{key_node.start_mark.line + 1}: {key!r} is given twice; keep one of them")
            lines[here] = key_node.start_mark.line + 1
            _record_lines(path, value_node, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            _record_lines(path, entry, (*location, index), lines)


def _syntax_message(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return f"{where}: not valid YAML: {' '.join(problem.split())}"
