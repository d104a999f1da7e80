"""From cells to arms, and the names that arms and axes have on a page."""

import json
from collections import Counter
from typing import Any

from cifar_models.config import TrainConfig
from grid.questions.cells import Cell
from grid.questions.fields import field_value, has_field
from grid.questions.question import SourcedQuestion
from grid.questions.study import Arm, Axis


def make_arms(question: SourcedQuestion, cells: list[Cell]) -> tuple[tuple[Axis, ...], tuple[Arm, ...]]:
    """Merges equal cells into one arm, and names arms and axes.

    Raises:
        QuestionError: The question describes an axis that it does not vary.
    """
    unique: dict[TrainConfig, list[Cell]] = {}
    for cell in cells:
        unique.setdefault(cell.config, []).append(cell)
    fields = list(dict.fromkeys(field for cell in cells for field in cell.changed))
    for field in question.question.axes:
        if field not in fields:
            raise question.source.error(("axes", field), f"axes: {field!r} is varied by no cell")
    axes = _telling_axes([_make_axis(question, field, list(unique)) for field in fields], list(unique))
    labels = [_labels(same, config, axes, None) for config, same in unique.items()]
    if len(set(labels)) < len(labels):
        labels = [_labels(same, config, axes, fields) for config, same in unique.items()]
    arms = tuple(
        Arm(label=label, values={field: field_value(config, field) for field in fields}, config=config)
        for label, config in zip(_distinct(labels), unique, strict=True)
    )
    return tuple(axes), arms


def _telling_axes(axes: list[Axis], configs: list[TrainConfig]) -> list[Axis]:
    """Axes that say something that the ones before do not: not a field that is the same in all arms, or follows."""
    telling: list[Axis] = []
    for axis in axes:
        values = _values(axis, configs)
        # each value of an earlier axis goes with one value of this
        earlier = [_values(other, configs) for other in telling]
        follows = any(len(set(zip(other, values, strict=True))) == len(set(other)) for other in earlier)
        if len(configs) == 1 or (len(set(values)) > 1 and not follows):
            telling.append(axis)
    return telling


def _values(axis: Axis, configs: list[TrainConfig]) -> list[str]:
    return [repr(field_value(config, axis.field)) for config in configs]


def _make_axis(question: SourcedQuestion, field: str, configs: list[TrainConfig]) -> Axis:
    spec = question.question.axes.get(field)
    found = {repr(value): value for config in configs if (value := field_value(config, field)) is not None}
    values = list(found.values())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values.sort()
    return Axis(
        field=field,
        label=(spec.label if spec else None) or field.split(".")[-1].replace("_", " "),
        values=tuple(values),
        names=tuple(_name(question, field, value) for value in values),
    )


def _labels(cells: list[Cell], config: TrainConfig, axes: list[Axis], fields: list[str] | None) -> str:
    """The label of an arm; what users called it in each of its cells, if more than one has a label."""
    first = {cell.label: cell for cell in reversed(cells)}  # the first cell of each label
    named = [cell for cell in cells if cell.label and first[cell.label] is cell] or cells[:1]
    return " = ".join(_label(cell, config, fields or cell.named, axes) for cell in named)


def _label(cell: Cell, config: TrainConfig, fields: list[str], axes: list[Axis]) -> str:
    """The user's label, then what is varied within the block; or all that is varied."""
    parts = [cell.label] if cell.label else []
    for axis in axes:
        value = field_value(config, axis.field)
        if axis.field not in fields or not has_field(config, axis.field):
            continue
        name = _name(cell.question, axis.field, value)
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
