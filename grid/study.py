"""A question at one budget: every arm with its complete configuration, and the seeds that all arms share."""

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from cifar_models.config import Frozen, TrainConfig
from grid.errors import QuestionError, UserError, explain, first_error
from grid.question import CellBlock, Overrides, Profile, SourcedQuestion
from grid.sourced_yaml import Location

MAX_ARMS = 10_000
"""More arms than anyone could read a chart of; a product that exceeds it is a slip of the pen."""


class Axis(Frozen):
    """A field that varies between arms.

    Attributes:
        field: Its dotted name in `TrainConfig`.
        label: Its name on charts.
        scale: `linear` or `log`.
        values: The values tried, in the order of first appearance.
        names: What to call each value, beside `values`.
    """

    field: str
    label: str
    scale: str
    values: tuple[Any, ...]
    names: tuple[str, ...]


class Arm(Frozen):
    """One setting that is compared with the others.

    Attributes:
        label: Its name on charts, unique in the study.
        values: Its value on every axis, by field.
        config: What is trained, but for the seed.
    """

    label: str
    values: dict[str, Any]
    config: TrainConfig


class Study(Frozen):
    """A question at one profile and on one data set.

    Attributes:
        question: Name of the question.
        title: The question in words.
        about: What is compared and why.
        profile: Name of the profile.
        dataset: Name of the data set, for people and file names.
        axes: The fields that vary.
        arms: The settings.
        seeds: The seeds that every arm is trained with.
    """

    question: str
    title: str
    about: str
    profile: str
    dataset: str
    axes: tuple[Axis, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the study's page and file: unique for a question, profile and data set."""
        return f"{self.question}-{self.profile}-{self.dataset}"


class _Cell:
    """Overrides of `TrainConfig` gathered in order, each with the place in the question file it came from."""

    def __init__(self, question: SourcedQuestion) -> None:
        self.question = question
        self.tree: dict[str, Any] = {}
        self.origins: dict[str, Location | None] = {}
        self.varied: list[str] = []

    def set(self, values: Overrides, origin: Location | None) -> None:
        for field, value in values.items():
            *parents, leaf = field.split(".")
            node = self.tree
            for parent in parents:
                node = node.setdefault(parent, {})
                if not isinstance(node, dict):
                    raise self._error(None, f"{field}: unknown field")
            node[leaf] = value
            self.origins.pop(field, None)  # the newest is last, and is blamed first
            self.origins[field] = (*origin, field) if origin is not None else None

    def config(self) -> TrainConfig:
        try:
            return TrainConfig.model_validate(self.tree)
        except ValidationError as error:
            first = first_error(error)
            raise self._error(".".join(str(part) for part in first["loc"]), explain(first, TrainConfig)) from None

    def _error(self, field: str | None, message: str) -> QuestionError | UserError:
        blamed = [f for f in self.origins if field and (f.startswith(field) or field.startswith(f))]
        for candidate in reversed(blamed):
            origin = self.origins[candidate]
            if origin is not None:
                return self.question.source.error(origin, message)
        return UserError(f"{self.question.name}: {message}")


def make_study(
    question: SourcedQuestion,
    profile_name: str,
    profile: Profile,
    *,
    dataset: str,
    dataset_label: str,
    precision: str,
    num_seeds: int | None = None,
    overrides: Overrides | None = None,
) -> Study:
    """Expands a question into its arms.

    What is set later wins: the machine's precision, the question's base, the profile, what the question changes
    in the profile, `overrides`, and last the cells themselves.

    Args:
        question: The question.
        profile_name: Name of the profile.
        profile: The profile.
        dataset: Value of `data.name`.
        dataset_label: Name of the data set in file names.
        precision: The number format that suits the machine, where nothing else names one.
        num_seeds: Number of seeds, instead of the profile's.
        overrides: Fields that the user set for this run.

    Raises:
        QuestionError: The question holds a value that can't be trained; names line, field, value, allowed set.
        UserError: An override can't be trained, or is an axis of the question.
    """
    spec = question.question
    budget = spec.profiles.get(profile_name)
    layers: list[tuple[Overrides, Location | None]] = [
        ({"precision": precision}, None),
        (spec.base, ("base",)),
        (profile.set, None),
        (budget.set if budget else {}, ("profiles", profile_name, "set")),
        ({"data.name": dataset}, None),
        (overrides or {}, None),
    ]
    _refuse_too_many(question)
    cells: list[_Cell] = []
    for index, block in enumerate(spec.cells):
        clash = set(overrides or {}) & (block.set.keys() | block.product.keys() | block.one_at_a_time.keys())
        if clash:
            raise UserError(
                f"{question.name} varies {', '.join(sorted(clash))} itself; it can't be set for the whole run"
            )
        for changes in _expand(block, ("cells", index)):
            cell = _Cell(question)
            for values, origin in [*layers, *changes]:
                cell.set(values, origin)
            cell.varied = [field for values, _ in changes for field in values]
            cells.append(cell)
    seeds = num_seeds or (budget.seeds if budget and budget.seeds else profile.seeds) or 1
    axes, arms = _make_arms(question, cells)
    return Study(
        question=question.name,
        title=spec.title,
        about=spec.about,
        profile=profile_name,
        dataset=dataset_label,
        axes=axes,
        arms=arms,
        seeds=tuple(range(seeds)),
    )


def field_value(config: TrainConfig, field: str) -> Any:
    """The value of a dotted field, as JSON would hold it (lists, not tuples)."""
    value: Any = config
    for part in field.split("."):
        value = getattr(value, part, None)
    return list(value) if isinstance(value, tuple) else value


def _expand(block: CellBlock, here: Location) -> Iterator[list[tuple[Overrides, Location | None]]]:
    fixed = (block.set, (*here, "set"))
    for values in itertools.product(*block.product.values()):
        combination = dict(zip(block.product, values, strict=True))
        start: list[tuple[Overrides, Location | None]] = [fixed, (combination, (*here, "product"))]
        yield start
        for field, alternatives in block.one_at_a_time.items():
            for value in alternatives:
                yield [*start, ({field: value}, (*here, "one_at_a_time"))]


def _refuse_too_many(question: SourcedQuestion) -> None:
    total = 0
    for index, block in enumerate(question.question.cells):
        alternatives = 1 + sum(len(values) for values in block.one_at_a_time.values())
        total += alternatives * math.prod(len(values) for values in block.product.values())
        if total > MAX_ARMS:
            message = f"cells: more than {MAX_ARMS:,} arms in all; try fewer values, or one_at_a_time"
            raise question.source.error(("cells", index), message)


def _make_arms(question: SourcedQuestion, cells: list[_Cell]) -> tuple[tuple[Axis, ...], tuple[Arm, ...]]:
    """Merges equal cells into one arm, and names arms and axes."""
    unique: dict[TrainConfig, _Cell] = {}
    for cell in cells:
        unique.setdefault(cell.config(), cell)
    fields = list(dict.fromkeys(field for cell in cells for field in cell.varied))
    for field in question.question.axes:
        if field not in fields:
            raise question.source.error(("axes", field), f"axes: {field!r} is varied by no cell")
    axes = tuple(_make_axis(question, field, list(unique)) for field in fields)
    labels = [_label(config, cell.varied or fields, axes) for config, cell in unique.items()]
    if len(set(labels)) < len(labels):
        labels = [_label(config, fields, axes) for config in unique]
    arms = tuple(
        Arm(label=label, values={field: field_value(config, field) for field in fields}, config=config)
        for label, config in zip(labels, unique, strict=True)
    )
    return axes, arms


def _make_axis(question: SourcedQuestion, field: str, configs: list[TrainConfig]) -> Axis:
    spec = question.question.axes.get(field)
    values: list[Any] = []
    for config in configs:
        value = field_value(config, field)
        if value is not None and value not in values:
            values.append(value)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values.sort()
    named = spec.names if spec else {}
    return Axis(
        field=field,
        label=(spec.label if spec else None) or field.split(".")[-1].replace("_", " "),
        scale=spec.scale if spec else "linear",
        values=tuple(values),
        names=tuple(named.get(_yaml_scalar(value), _yaml_scalar(value)) for value in values),
    )


def _label(config: TrainConfig, fields: list[str], axes: tuple[Axis, ...]) -> str:
    parts = []
    for axis in axes:
        value = field_value(config, axis.field)
        if axis.field in fields and value is not None:
            name = axis.names[axis.values.index(value)]
            bare = isinstance(value, str) or name != _yaml_scalar(value)
            parts.append(name if bare else f"{axis.label} {name}")
    return ", ".join(parts) or "base"


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
