"""The names that arms, axes and their values have on a page."""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from cifar_models.config import TrainConfig
from grid.questions.fields import field_value, has_field
from grid.questions.question import SourcedQuestion
from grid.questions.study import Axis


class Cell(NamedTuple):
    """One combination of settings that a block of a question's `cells` stands for; equal ones become one arm.

    Attributes:
        label: What the user calls the block.
        changed: The fields that the block sets.
        named: Those that the arm's name has to mention.
        is_base: Whether others are this one with a single field changed.
        config: The complete configuration.
    """

    label: str | None
    changed: list[str]
    named: list[str]
    is_base: bool
    config: TrainConfig


def name_arms(
    question: SourcedQuestion, arms: Collection[list[Cell]], axes: list[Axis], fields: list[str]
) -> list[str]:
    """A label for each arm, made of what its axes say; of all `fields` that vary, where that is not unique."""
    labels = [_labels(question, cells, axes, None) for cells in arms]
    if len(set(labels)) < len(labels):
        labels = [_labels(question, cells, axes, fields) for cells in arms]
    return _distinct(labels)


def make_axes(question: SourcedQuestion, fields: list[str], arms: list[dict[str, Any]]) -> list[Axis]:
    """The axes along which arms with such values of some fields differ, and the names of their values."""
    return [_make_axis(question, field, [each[field] for each in arms]) for field in _telling(fields, arms)]


def _telling(fields: list[str], arms: list[dict[str, Any]]) -> list[str]:
    """Fields that say something that the ones before do not: not one that is the same in all arms, or follows."""
    telling: dict[str, list[str]] = {}
    for field in fields:
        values = [repr(arm[field]) for arm in arms]
        # each value of an earlier field goes with one value of this
        follows = any(len(set(zip(other, values, strict=True))) == len(set(other)) for other in telling.values())
        if len(arms) == 1 or (len(set(values)) > 1 and not follows):
            telling[field] = values
    return [*telling]


def _make_axis(question: SourcedQuestion, field: str, tried: list[Any]) -> Axis:
    spec = question.question.axes.get(field)
    values = list({repr(value): value for value in tried if value is not None}.values())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values.sort()
    return Axis(
        field=field,
        label=(spec.label if spec else None) or field.split(".")[-1].replace("_", " "),
        values=tuple(values),
        names=tuple(_name(question, field, value) for value in values),
    )


def _labels(question: SourcedQuestion, cells: list[Cell], axes: list[Axis], fields: list[str] | None) -> str:
    """The label of an arm; what users called it in each of its cells, if more than one has a label."""
    first = {cell.label: cell for cell in reversed(cells)}  # the first cell of each label
    named = [cell for cell in cells if cell.label and first[cell.label] is cell] or cells[:1]
    return " = ".join(_label(question, cell, fields or cell.named, axes) for cell in named)


def _label(question: SourcedQuestion, cell: Cell, fields: list[str], axes: list[Axis]) -> str:
    """The user's label, then what is varied within the block; or all that is varied."""
    parts = [cell.label] if cell.label else []
    for axis in axes:
        if axis.field not in fields or not has_field(cell.config, axis.field):
            continue
        value = field_value(cell.config, axis.field)
        name = _name(question, axis.field, value)
        bare = isinstance(value, str) or name != _yaml_scalar(value)
        label = axis.label.removeprefix(f"{cell.label} ")  # L2, alpha 0.1: not L2, L2 alpha 0.1
        parts.append(name if bare else f"{label} {name}")
    if cell.is_base:
        parts.append("base")
    return ", ".join(parts) or "base"


def _distinct(labels: list[str]) -> list[str]:
    """Labels with a number behind those that are there twice."""
    counts: Counter[str] = Counter()
    distinct: dict[str, None] = {}
    for label in labels:
        name = label
        while name in distinct:  # someone may have called another arm 'SGD (2)'
            counts[label] += 1
            name = f"{label} ({counts[label] + 1})"
        distinct[name] = None
    return list(distinct)


def _name(question: SourcedQuestion, field: str, value: Any) -> str:
    """What the user calls a value of an axis, or how YAML would write it."""
    spec = question.question.axes.get(field)
    written = _yaml_scalar(value)
    return spec.names.get(written, written) if spec else written


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
