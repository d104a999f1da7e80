"""A cell of a question: settings on settings, and who is to blame where the result can't be trained."""

from typing import Any

from pydantic import ValidationError

from cifar_models.config import TrainConfig
from grid.errors import QuestionError, UserError, explain, field_of, first_error
from grid.questions.fields import Overrides
from grid.questions.question import CellBlock, SourcedQuestion
from grid.questions.sourced_yaml import Location

Layer = tuple[Overrides, Location | None]
"""Settings, and where in the question's file they stand, if they do."""


class Cell:
    """Layers of settings of one arm; later ones win, and each remembers where it came from.

    Attributes:
        question: The question.
        label: What the user calls the block.
        changed: The fields that the block sets.
        named: Those that the arm's name has to mention.
        is_base: Whether others are this one with a single field changed.
        config: The complete configuration.
    """

    def __init__(self, question: SourcedQuestion, layers: list[Layer], block: CellBlock, changes: list[Layer]) -> None:
        """Puts the layers together.

        Args:
            question: The question.
            layers: All settings, in rising order of precedence.
            block: Where the cell stands.
            changes: Those of the layers that the block makes.

        Raises:
            QuestionError: It can't be trained; blames the newest line of the question that set the field.
            UserError: It can't be trained, and the question did not set the field.
        """
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
        # at once, so that a mistake in the first of many cells is known before the others are made
        self.config = self._make_config()

    def _make_config(self) -> TrainConfig:
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
