"""From a question to its study: layers of settings, and every cell that its blocks stand for."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from cifar_models.config import Architecture, ResidualCNNConfig, TrainConfig
from grid.errors import QuestionError, UserError, explain, field_of, first_error
from grid.questions.claim_checks import refuse_wrong_claims
from grid.questions.fields import Overrides, field_value, nested
from grid.questions.names import Cell, make_axes, name_arms
from grid.questions.question import Budget, CellBlock, Profile, SourcedQuestion
from grid.questions.sourced_yaml import Location
from grid.questions.study import Arm, Axis, Study

MAX_ARMS = 10_000
"""More arms than anyone could read a chart of; a product that exceeds it is a slip of the pen."""
MAX_TRIALS = 100_000
"""More trials than a plan is made for."""

Winners = Mapping[str, Overrides]
"""Values of the winning arm's axes, by question."""

Layer = tuple[Overrides, Location | None]
"""Settings, and where in the question's file they stand, if they do."""


def make_study(
    question: SourcedQuestion,
    profile_name: str,
    profile: Profile,
    *,
    dataset: str,
    dataset_label: str,
    precision: str,
    num_seeds: int | None = None,
    first_seed: int = 0,
    overrides: Overrides | None = None,
    winners: Winners | None = None,
) -> Study:
    """Expands a question into its arms.

    Later settings win: `precision`, the base, the profile, what the question changes in it, `overrides`, the cells.

    Args:
        question: The question.
        profile_name: Name of the budget, `profile`.
        profile: The budget.
        dataset: Value of `data.name`.
        dataset_label: What it is called in file names.
        precision: The number format that suits the machine, where nothing else names one.
        num_seeds: Number of seeds, instead of the profile's.
        first_seed: The first of them; the others follow it.
        overrides: Fields that the user set for this run.
        winners: What other questions found, if this one builds on them.

    Raises:
        QuestionError: The question holds a value that can't be trained; names line, field, value, allowed set.
        UserError: An override can't be trained, or is an axis of the question; or there are too many trials.
    """
    spec, overrides = question.question, overrides or {}
    budget = spec.profiles.get(profile_name, Budget())
    run_wide: Layer = ({**overrides, "data.name": dataset}, None)
    shared: list[Layer] = [({"precision": precision}, None), (spec.base, ("base",))]
    _refuse_too_many(question, num_seeds := num_seeds or budget.seeds or profile.seeds or 1)
    cells: list[Cell] = []
    for index, block in enumerate(spec.cells):
        _refuse_axes(question, block, overrides)
        for changes in _expand(question, block, ("cells", index), winners or {}):
            architecture = _architecture([*shared, (budget.set, None), run_wide, *changes])
            budgets = _budget_layers(profile, architecture, None)
            budgets += _budget_layers(budget, architecture, ("profiles", profile_name))
            cells.append(_make_cell(question, [*shared, *budgets, run_wide, *changes], block, changes))
    axes, arms = _make_arms(question, cells)
    study = Study(
        question=question.name,
        title=spec.title,
        about=spec.about,
        profile=profile_name,
        dataset=dataset_label,
        axes=axes,
        arms=arms,
        seeds=tuple(range(first_seed, first_seed + num_seeds)),
        overrides=dict(overrides),
        claims=tuple(spec.claims),
        answers=tuple(spec.answers),
    )
    refuse_wrong_claims(study, question.source.error, composed=bool(spec.parts))
    return study


def _budget_layers(budget: Budget, architecture: Architecture, here: Location | None) -> list[Layer]:
    of_architecture = budget.by_architecture.get(architecture, {})
    if here is None:
        return [(budget.set, None), (of_architecture, None)]
    return [(budget.set, (*here, "set")), (of_architecture, (*here, "by_architecture", architecture))]


def _architecture(layers: list[Layer]) -> Architecture:
    """The architecture that the last of `layers` to name one names."""
    named = [values["model.architecture"] for values, _ in layers if "model.architecture" in values]
    # whatever a user wrote there is looked up, and refused later, as text
    return cast(Architecture, str(named[-1])) if named else ResidualCNNConfig().architecture


def _expand(question: SourcedQuestion, block: CellBlock, here: Location, winners: Winners) -> Iterator[list[Layer]]:
    """The changes that make each cell of a block, as layers in rising order of precedence."""
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


def _make_cell(question: SourcedQuestion, layers: list[Layer], block: CellBlock, changes: list[Layer]) -> Cell:
    """Puts the layers of a cell together; the later ones win.

    Raises:
        QuestionError: It can't be trained; blames the newest line of the question that set the field.
        UserError: It can't be trained, and the question did not set the field.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Location | None] = {}
    for layer, origin in layers:
        for field, value in layer.items():
            values.pop(field, None)  # the newest is last, and is blamed first
            values[field] = value
            origins[field] = origin
    try:
        # at once, so that a mistake in the first of many cells is known before the others are made
        config = TrainConfig.model_validate(nested(values))
    except ValidationError as error:
        first, fields = first_error(error), [*values]
        raise _blame(
            question, fields, origins, field_of(first["loc"], TrainConfig), explain(first, TrainConfig)
        ) from None
    except KeyError as error:  # something in what is a single value
        fields, field = [*values], str(error.args[0])
        raise _blame(question, fields[: fields.index(field)], origins, field, f"{field}: unknown field") from None
    changed = [field for layer, _ in changes for field in layer]
    named = changed
    if block.label or block.one_at_a_time:  # a label stands for what is set; around a base, say what is changed
        named = [*block.product, *(changes[-1][0] if len(changes) > len(block.winners_of) + 2 else ())]
    return Cell(block.label, changed, named, bool(block.one_at_a_time) and not named, config)


def _make_arms(question: SourcedQuestion, cells: list[Cell]) -> tuple[tuple[Axis, ...], tuple[Arm, ...]]:
    """Merges equal cells into one arm.

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
    values = [{field: field_value(config, field) for field in fields} for config in unique]
    axes = make_axes(question, fields, values)
    labels = name_arms(question, unique.values(), axes, fields)
    arms = zip(labels, values, unique, strict=True)
    return tuple(axes), tuple(Arm(label=label, values=of, config=config) for label, of, config in arms)


def _blame(
    question: SourcedQuestion, fields: list[str], origins: Mapping[str, Location | None], field: str, message: str
) -> QuestionError | UserError:
    """The error for a field, at the newest line of the question that set it, something in it, or what it is in."""
    for candidate in reversed(fields):
        origin, dotted = origins[candidate], f"{candidate}."
        if origin is not None and (f"{field}.".startswith(dotted) or dotted.startswith(f"{field}.")):
            return question.source.error((*origin, candidate), message)
    return UserError(f"{question.name}: {message}")


def _refuse_axes(question: SourcedQuestion, block: CellBlock, overrides: Overrides) -> None:
    clash = set(overrides) & (block.set.keys() | block.product.keys() | block.one_at_a_time.keys())
    if clash:
        raise UserError(f"{question.name} varies {', '.join(sorted(clash))} itself; it can't be set for the whole run")


def _refuse_too_many(question: SourcedQuestion, num_seeds: int) -> None:
    """Counts what would be made, before any of it is."""
    total = 0
    for index, block in enumerate(question.question.cells):
        alternatives = 1 + sum(len(values) for values in block.one_at_a_time.values())
        total += alternatives * math.prod(len(values) for values in block.product.values())
        if total > MAX_ARMS:
            message = f"cells: more than {MAX_ARMS:,} arms in all; try fewer values, or one_at_a_time"
            raise question.source.error(("cells", index), message)
    if total * num_seeds > MAX_TRIALS:
        message = f"{total:,} arms with {num_seeds:,} seeds are more than {MAX_TRIALS:,} trials; try fewer of either"
        raise UserError(f"{question.name}: {message}")
