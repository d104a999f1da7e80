"""What can go wrong outside this project: the command line prints each as one line, without a traceback."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


class UserError(Exception):
    """Something in the input that only the user can put right. Its message says what and how."""


class QuestionError(UserError):
    """A question file that can't be used: names the file and, where known, line, field, value and what is allowed."""


class LostClusterError(Exception):
    """Ray went away in the middle of a run. Its message says what is kept and how to go on."""


class LostLockError(OSError):
    """Another run took the results folder over while this one was paused. Its message says who."""


MAX_LINE = 2_000
"""Characters of a line that is printed: what somebody else wrote may be quoted in it, of any length."""


def printable(text: str, instead: str = " ") -> str:
    """A text without characters that would steer a terminal or end a line."""
    return "".join(letter if letter.isprintable() else instead for letter in text)


def one_line(message: object) -> str:
    """A message as it is printed: one line, without what would steer a terminal, and not without end."""
    text = " ".join(str(message).split())
    text = printable(text[: MAX_LINE + 1], "?")
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"


def first_error(error: ValidationError) -> Mapping[str, Any]:
    """The one to show: a misspelt field rather than the field that is missing because of it."""
    return min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")


def explain(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Says in one line what pydantic found wrong.

    Args:
        error: One entry of `ValidationError.errors()`.
        model: The model that was validated, to name the fields that exist.

    Returns:
        `field: value: what is allowed`.
    """
    field = field_of(error["loc"], model) or model.__name__
    value = repr(error["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    match error["type"]:
        case "extra_forbidden":
            here = _walk(error["loc"][:-1], model)[1]
            known = dict.fromkeys(field.alias or name for m in here for name, field in m.model_fields.items())
            return f"{field}: unknown field; known are {', '.join(known)}"
        case "union_tag_invalid":
            tag = error["ctx"]["discriminator"].strip("'")
            return f"{field}.{tag}: {error['ctx']['tag']!r} is not one of {error['ctx']['expected_tags']}"
        case "literal_error":
            return f"{field}: {value} is not one of {error['ctx']['expected']}"
        case "missing":
            return f"{field}: this field is required"
        case "value_error":
            return f"{field}: {error['ctx']['error']}"
        case _:
            return f"{field}: {value} is not allowed: {error['msg'][:1].lower()}{error['msg'][1:]}"


def field_of(location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """The dotted name of a field; pydantic's location without the tags of unions, which the user never wrote."""
    return ".".join(_walk(location, model)[0])


def _walk(location: tuple[str | int, ...], model: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """The way to a place inside a model: its parts but for tags of unions, and the models that may stand there."""
    here, parts = [model], []
    for part in location:
        fields = [m.model_fields[part] for m in here if isinstance(part, str) and part in m.model_fields]
        tagged = [m for m in here if any(part in get_args(field.annotation) for field in m.model_fields.values())]
        if fields or not tagged:
            parts.append(str(part))
        here = ([m for field in fields for m in _models_in(field.annotation)] if fields else tagged) or here
    return parts, here


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in get_args(annotation) for m in _models_in(argument)]
