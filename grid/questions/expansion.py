"""From a question to its study: layers of settings, and every cell that its blocks stand for."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import cast

from cifar_models.config import Architecture, ResidualCNNConfig
from grid.errors import UserError
from grid.questions.arms import make_arms
from grid.questions.cells import Cell, Layer
from grid.questions.claim_checks import refuse_wrong_claims
from grid.questions.fields import Overrides
from grid.questions.question import Budget, CellBlock, Profile, SourcedQuestion
from grid.questions.sourced_yaml import Location
from grid.questions.study import Study

MAX_ARMS = 10_000
"""More arms than anyone could read a chart of; a product that exceeds it is a slip of the pen."""
MAX_TRIALS = 100_000
"""More trials than a plan is made for."""

DEFAULT_ARCHITECTURE = ResidualCNNConfig().architecture

Winners = Mapping[str, Overrides]
"""Values of the winning arm's axes, by question."""


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
        dataset: Value of `data.name`.
        dataset_label: What it is called in file names.
        precision: The number format that suits the machine, where nothing else names one.
        num_seeds: Number of seeds, instead of the profile's.
        overrides: Fields that the user set for this run.
        winners: What other questions found, if this one builds on them.

    Raises:
        QuestionError: The question holds a value that can't be trained; names line, field, value, allowed set.
        UserError: An override can't be trained, or is an axis of the question; or there are too many trials.
    """
    spec = question.question
    budget = spec.profiles.get(profile_name, Budget())
    run_wide = {**(overrides or {}), "data.name": dataset}
    shared: list[Layer] = [({"precision": precision}, None), (spec.base, ("base",))]
    _refuse_too_many(question, num_seeds := num_seeds or budget.seeds or profile.seeds or 1)
    cells: list[Cell] = []
    for index, block in enumerate(spec.cells):
        _refuse_axes(question, block, overrides or {})
        for changes in _expand(question, block, ("cells", index), winners or {}):
            architecture = _architecture([spec.base, budget.set, run_wide, *(values for values, _ in changes)])
            budgets = _budget_layers(profile, architecture, None)
            budgets += _budget_layers(budget, architecture, ("profiles", profile_name))
            cells.append(Cell(question, [*shared, *budgets, (run_wide, None), *changes], block, changes))
    axes, arms = make_arms(question, cells)
    study = Study(
        question=question.name,
        title=spec.title,
        about=spec.about,
        profile=profile_name,
        dataset=dataset_label,
        axes=axes,
        arms=arms,
        seeds=tuple(range(num_seeds)),
        overrides=dict(overrides or {}),
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
