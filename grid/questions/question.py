"""A question as a user writes it: a YAML file, checked line by line, not yet expanded into arms."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from cifar_models.config import Architecture, DatasetName, Frozen
from grid.errors import QuestionError, UserError, explain, first_error
from grid.questions.sourced_yaml import SourcedYaml, read_yaml

CATALOGUE = Path(__file__).parent / "catalogue"
PROFILES = Path(__file__).parent / "profiles.yaml"
QUESTION_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

M = TypeVar("M", bound=BaseModel)

Overrides = Mapping[str, Any]
"""Values by dotted field of `TrainConfig`, such as `{"optimizer.lr": 0.01}`."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""Text for a page: not empty, no control characters."""


RUN_FIELDS = {"seed": "--seeds", "data.name": "--dataset"}
"""Fields that are the run's choice, not a question's, and the option that makes it."""


def flat_fields(values: Any) -> Any:
    """Fields with their nested mappings written out: `{"model": {"skip": true}}` is `{"model.skip": true}`.

    Raises:
        ValueError: A field is the run's choice.
    """
    if not isinstance(values, dict):
        return values
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= {f"{name}.{inner}": leaf for inner, leaf in flat_fields(value).items()}
        else:
            flat[str(name)] = value
    for field in flat.keys() & RUN_FIELDS.keys():
        raise ValueError(f"{field} is chosen for a whole run, with {RUN_FIELDS[field]}; leave it out")
    return flat


def _single_values(values: list[Any]) -> list[Any]:
    if any(isinstance(value, dict) for value in values):
        raise ValueError("a value of an axis is a single one; write a block with 'set' for several fields at once")
    return values


Fields = Annotated[dict[str, Any], BeforeValidator(flat_fields)]
"""Values by dotted field of `TrainConfig`."""

AxisValues = Annotated[
    dict[str, Annotated[list[Any], Field(min_length=1), AfterValidator(_single_values)]], BeforeValidator(flat_fields)
]
"""Lists of values by dotted field."""


class AxisSpec(Frozen):
    """How an axis is shown.

    Attributes:
        label: Its name on charts; the last part of the field's name if None.
        names: What to call a value, by the value as YAML writes it (`true`, `0.1`, `adam`).
    """

    label: Text | None = None
    names: dict[str, Text] = {}


class Answer(Frozen):
    """Something the question asks that the literature answers, not a run.

    Attributes:
        asked: What is asked.
        answer: The answer, in our own words.
        source: Where it is from: authors, year, title or number.
        link: Where the source can be read.
    """

    asked: Text
    answer: Text
    source: Text
    link: Annotated[str, StringConstraints(pattern=r"^https://[^\s\"'<>]+$")] | None = None


class CellBlock(Frozen):
    """A set of arms: every combination of `product`, or one axis at a time around the base; `set` holds for all.

    Attributes:
        label: What to call the arm, or how the names of the block's arms begin; made from the values if None.
        winners_of: Questions whose winning values hold for all, as found by the runs in the same results folder at
            the same profile and data set; the later ones win.
        set: Fields fixed for the block.
        product: Values by field; every combination is an arm.
        one_at_a_time: Values by field; the base is an arm, and the base with each single value.
    """

    label: Text | None = None
    winners_of: list[str] = []
    set: Fields = {}
    product: AxisValues = {}
    one_at_a_time: AxisValues = {}


class Budget(Frozen):
    """What a profile changes.

    Attributes:
        set: Fields of the training configuration.
        by_architecture: More fields, for the arms of one architecture, by its name.
        seeds: Number of seeds an arm is trained with; as before if None.
    """

    set: Fields = {}
    by_architecture: dict[Architecture, Fields] = {}
    seeds: int | None = Field(default=None, ge=1, le=1000)


class Profile(Budget):
    """A budget that every question can be run at.

    Attributes:
        about: What it is for, in a sentence.
        dataset: The data set it runs on unless the user names another.
    """

    about: Text
    dataset: DatasetName


class Question(Frozen):
    """A question, as its YAML file states it.

    Attributes:
        title: The question, in words.
        about: What is compared and why.
        axes: How the fields that vary are shown, by field.
        base: Fields that all arms share.
        cells: The arms.
        profiles: What this question changes in a profile, by the profile's name.
        answers: What the literature says of it.
    """

    title: Text
    about: Text
    axes: dict[str, AxisSpec] = {}
    base: Fields = {}
    cells: list[CellBlock] = Field(min_length=1)
    profiles: dict[str, Budget] = {}
    answers: list[Answer] = []

    @property
    def parts(self) -> list[str]:
        """Questions whose winners this one is made of; they have to be run before it."""
        return list(dict.fromkeys(name for block in self.cells for name in block.winners_of))


class SourcedQuestion:
    """A question together with the file it came from, so that what is wrong in it can be pointed at."""

    def __init__(self, source: SourcedYaml) -> None:
        self.source = source
        self.name = source.path.stem
        if not QUESTION_NAME.fullmatch(self.name):
            raise QuestionError(
                f"{source.path}: the file's name is the question's name and may hold only a-z, 0-9 and '-'; rename it"
            )
        if self.name in catalogue() and source.path.resolve().parent != CATALOGUE.resolve():
            raise QuestionError(
                f"{source.path}: {self.name} is a question of the catalogue; give the file another name"
            )
        self.question = _validate(Question, source)
        for profile in self.question.profiles.keys() - read_profiles().keys():
            message = f"profiles: there is no profile {profile!r}; there are {', '.join(read_profiles())}"
            raise source.error(("profiles", profile), message)


@cache
def read_profiles() -> dict[str, Profile]:
    """The profiles, by name."""
    source = read_yaml(PROFILES)
    return {name: _validate(Profile, source, (name,)) for name in source.value}


def catalogue() -> list[str]:
    """Names of the built-in questions, in order."""
    return sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def find_question(name: str) -> SourcedQuestion:
    """Reads a built-in question by its name or the start of it, or a user's own by its file's path.

    Raises:
        UserError: There is none, or several match.
    """
    if name.endswith((".yaml", ".yml")):
        return SourcedQuestion(read_yaml(Path(name)))
    matches = [known for known in catalogue() if known == name] or [
        known for known in catalogue() if known.startswith(f"{name}-")
    ]
    if len(matches) != 1:
        raise UserError(
            f"unknown question {name!r}; known are {', '.join(catalogue())}; "
            "one of your own is given as the path of its .yaml file"
        )
    return SourcedQuestion(read_yaml(CATALOGUE / f"{matches[0]}.yaml"))


def _validate(model: type[M], source: SourcedYaml, location: tuple[str, ...] = ()) -> M:
    value = source.value
    for part in location:
        value = value[part]
    if not isinstance(value, dict):
        raise source.error(location, f"expected 'field: value' lines, found {type(value).__name__}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = first_error(error)
        raise source.error((*location, *first["loc"]), explain(first, model)) from None
