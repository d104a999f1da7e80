"""From a question to its arms: layers of settings, cells, and the names that arms and axes have on a page."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from cifar_models.config import Architecture, ResidualCNNConfig, TrainConfig
from grid.errors import QuestionError, UserError, explain, field_of, first_error
from grid.questions.question import Budget, CellBlock, Overrides, Profile, SourcedQuestion
from grid.questions.sourced_yaml import Location
from grid.questions.study import Arm, Axis, Study, field_value, has_field

MAX_ARMS = 10_000
"""More arms than anyone could read a chart of; a product that exceeds it is a slip of the pen."""

DEFAULT_ARCHITECTURE = ResidualCNNConfig().architecture

Winners = Mapping[str, Overrides]
"""Values of the winning arm's axes, by question."""

Layer = tuple[Overrides, Location | None]
"""Settings, and where in the question's file they stand, if they do."""


class _Cell:
    """Layers of settings of one arm; later ones win, and each remembers where it came from."""

    def __init__(self, question: SourcedQuestion, layers: list[Layer], block: CellBlock, changes: list[Layer]) -> None:
        self.question = question
        self.label = block.label
        self.changed = [field for values, _ in changes for field in values]
        self.named = self.changed
        if block.label or block.one_at_a_time:  # a label stands for what is set; around a base, say what is changed
            self.named = [*block.product, *(changes[-1][0] if len(changes) > len(block.winners_of) + 2 else ())]
        self.is_base = bool(block.one_at_a_time) and not self.named
        self.tree: dict[str, Any] = {}
        self.origins: dict[str, Location | None] = {}
        for values, origin in layers:
            self._set(values, origin)

    def config(self) -> TrainConfig:
        """The complete configuration.

        Raises:
            QuestionError: It can't be trained; blames the newest line of the question that set the field.
            UserError: It can't be trained, and the question did not set the field.
        """
        try:
            return TrainConfig.model_validate(self.tree)
        except ValidationError as error:
            first = first_error(error)
            raise self._error(field_of(first["loc"], TrainConfig), explain(first, TrainConfig)) from None

    def _set(self, values: Overrides, origin: Location | None) -> None:
        for field, value in values.items():
            *parents, leaf = field.split(".")
            node = self.tree
            for parent in parents:
                node = node.setdefault(parent, {})
                if not isinstance(node, dict):
                    raise self._error(field, f"{field}: unknown field")
            node[leaf] = value
            self.origins.pop(field, None)  # the newest is last, and is blamed first
            self.origins[field] = (*origin, field) if origin is not None else None

    def _error(self, field: str, message: str) -> QuestionError | UserError:
        blamed = [f for f in self.origins if f == field or f.startswith(f"{field}.") or field.startswith(f"{f}.")]
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
    winners: Winners | None = None,
) -> Study:
    """Expands a question into its arms.

    Later settings win: `precision`, the base, the profile, what the question changes in it, `overrides`, the cells.

    Args:
        question: The question.
        profile_name: Name of the budget, `profile`.
        profile: The budget.
        dataset: Value of `data.name`; `dataset_label` is what it is called in file names.
        dataset_label: See `dataset`.
        precision: The number format that suits the machine, where nothing else names one.
        num_seeds: Number of seeds, instead of the profile's.
        overrides: Fields that the user set for this run.
        winners: What other questions found, if this one builds on them.

    Raises:
        QuestionError: The question holds a value that can't be trained; names line, field, value, allowed set.
        UserError: An override can't be trained, or is an axis of the question.
    """
    spec = question.question
    budget = spec.profiles.get(profile_name, Budget())
    run_wide = {**(overrides or {}), "data.name": dataset}
    shared: list[Layer] = [({"precision": precision}, None), (spec.base, ("base",))]
    _refuse_too_many(question)
    cells: list[_Cell] = []
    for index, block in enumerate(spec.cells):
        _refuse_axes(question, block, overrides or {})
        for changes in _expand(question, block, ("cells", index), winners or {}):
            architecture = _architecture([spec.base, budget.set, run_wide, *(values for values, _ in changes)])
            budgets = [
                *_budget_layers(profile, architecture, None),
                *_budget_layers(budget, architecture, ("profiles", profile_name)),
            ]
            cells.append(_Cell(question, [*shared, *budgets, (run_wide, None), *changes], block, changes))
    axes, arms = _make_arms(question, cells)
    return Study(
        question=question.name,
        title=spec.title,
        about=spec.about,
        profile=profile_name,
        dataset=dataset_label,
        axes=axes,
        arms=arms,
        seeds=tuple(range(num_seeds or budget.seeds or profile.seeds or 1)),
        answers=tuple(spec.answers),
    )


def _budget_layers(budget: Budget, architecture: Architecture, here: Location | None) -> list[Layer]:
    of_architecture = budget.by_architecture.get(architecture, {})
    if here is None:
        return [(budget.set, None), (of_architecture, None)]
    return [(budget.set, (*here, "set")), (of_architecture, (*here, "by_architecture", architecture))]


def _architecture(layers: list[Overrides]) -> Architecture:
    """The architecture that the last of `layers` to name one names."""
    named = [layer["model.architecture"] for layer in layers if "model.architecture" in layer]
    # whatever a user wrote there is looked up, and refused later, as text
    return cast(Architecture, str(named[-1])) if named else DEFAULT_ARCHITECTURE


def _expand(question: SourcedQuestion, block: CellBlock, here: Location, winners: Winners) -> Iterator[list[Layer]]:
    """The changes that make each arm of a block, as layers in rising order of precedence."""
    found: list[Layer] = []
    for part in block.winners_of:
        if part not in winners:
            message = f"builds on what {part} finds, which has no results here yet: run {part} first, or both together"
            raise question.source.error((*here, "winners_of"), message)
        found.append((winners[part], (*here, "winners_of")))
    for values in itertools.product(*block.product.values()):
        combination = dict(zip(block.product, values, strict=True))
        start: list[Layer] = [*found, (block.set, (*here, "set")), (combination, (*here, "product"))]
        yield start
        for field, alternatives in block.one_at_a_time.items():
            for value in alternatives:
                yield [*start, ({field: value}, (*here, "one_at_a_time"))]


def _refuse_axes(question: SourcedQuestion, block: CellBlock, overrides: Overrides) -> None:
    clash = set(overrides) & (block.set.keys() | block.product.keys() | block.one_at_a_time.keys())
    if clash:
        raise UserError(f"{question.name} varies {', '.join(sorted(clash))} itself; it can't be set for the whole run")


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
    unique: dict[TrainConfig, list[_Cell]] = {}
    for cell in cells:
        unique.setdefault(cell.config(), []).append(cell)
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
        values=tuple(values),
        names=tuple(named.get(_yaml_scalar(value), _yaml_scalar(value)) for value in values),
    )


def _labels(cells: list[_Cell], config: TrainConfig, axes: list[Axis], fields: list[str] | None) -> str:
    """The label of an arm; what users called it in each of its cells, if more than one has a label."""
    first = {cell.label: cell for cell in reversed(cells)}  # the first cell of each label
    named = [cell for cell in cells if cell.label and first[cell.label] is cell] or cells[:1]
    return " = ".join(_label(cell, config, fields or cell.named, axes) for cell in named)


def _label(cell: _Cell, config: TrainConfig, fields: list[str], axes: list[Axis]) -> str:
    """The user's label, then what is varied within the block; or all that is varied."""
    parts = [cell.label] if cell.label else []
    for axis in axes:
        value = field_value(config, axis.field)
        if axis.field not in fields or not has_field(config, axis.field):
            continue
        name = axis.names[axis.values.index(value)] if value is not None else "null"
        bare = isinstance(value, str) or name != _yaml_scalar(value)
        label = axis.label.removeprefix(f"{cell.label} ")  # L2, alpha 0.1: not L2, L2 alpha 0.1
        parts.append(name if bare else f"{label} {name}")
    if cell.is_base:
        parts.append("base")
    return ", ".join(parts) or "base"


def _distinct(labels: list[str]) -> list[str]:
    """Labels with a number behind those that are there twice."""
    seen: dict[str, int] = {}
    distinct = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        distinct.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return distinct


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
