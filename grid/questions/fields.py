"""Fields of the training configuration, and texts for a page, as a question file writes them."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from cifar_models.config import TrainConfig

RUN_FIELDS = {"seed": "--seeds", "data.name": "--dataset"}
"""Fields that are the run's choice, not a question's, and the option that makes it."""

Overrides = Mapping[str, Any]
"""Values by dotted field of `TrainConfig`, such as `{"optimizer.lr": 0.01}`."""


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted fields and their values: `model.skip` and true of `{"model": {"skip": true}}`; {} is a value, too."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in flat(value))
        else:
            yield str(name), value


def flat_fields(values: Any) -> Any:
    """Fields with their nested mappings written out: `{"model": {"skip": true}}` is `{"model.skip": true}`.

    Raises:
        ValueError: A field is the run's choice, is given in both forms, or is an empty mapping.
    """
    if not isinstance(values, dict):
        return values
    fields: dict[str, Any] = {}
    for field, value in flat(values):
        if value == {}:
            raise ValueError(f"{field}: {{}} sets no field; leave it out")
        if field in fields:
            raise ValueError(f"{field} is given twice; keep one of them")
        if field in RUN_FIELDS:
            raise ValueError(f"{field} is chosen for a whole run, with {RUN_FIELDS[field]}; leave it out")
        fields[field] = value
    return fields


def nested(fields: Overrides) -> dict[str, Any]:
    """The way back: `{"model": {"skip": true}}` of `{"model.skip": true}`, as `TrainConfig` reads it.

    Raises:
        KeyError: A field is in something that an earlier field gives a single value; names it.
    """
    tree: dict[str, Any] = {}
    for field, value in fields.items():
        *parents, leaf = field.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise KeyError(field)
        node[leaf] = value
    return tree


def _single_values(values: list[Any]) -> list[Any]:
    if any(isinstance(value, dict) for value in values):
        raise ValueError("a value of an axis is a single one; write a block with 'set' for several fields at once")
    return values


def _one_line(text: str) -> str:
    return " ".join(text.split())


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_one_line)]
"""Text for a page: not empty, its line breaks are spaces."""

Label = Annotated[Text, Field(max_length=200)]
"""A name on charts. It is repeated for every arm, hence the limit."""

NAME_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A name that can be part of a file's name or of an address."""

Fields = Annotated[dict[str, Any], BeforeValidator(flat_fields)]
"""Values by dotted field of `TrainConfig`."""

AxisValues = Annotated[
    dict[str, Annotated[list[Any], Field(min_length=1), AfterValidator(_single_values)]], BeforeValidator(flat_fields)
]
"""Lists of values by dotted field."""


def field_value(config: TrainConfig, field: str) -> Any:
    """The value of a dotted field, as JSON would hold it (lists, not tuples)."""
    value: Any = config
    for part in field.split("."):
        value = getattr(value, part, None)
    return list(value) if isinstance(value, tuple) else value


def has_field(config: TrainConfig, field: str) -> bool:
    """Whether a configuration has a dotted field; networks differ in theirs."""
    *parents, leaf = field.split(".")
    parent: Any = config
    for part in parents:
        parent = getattr(parent, part, None)
    return hasattr(parent, leaf)
