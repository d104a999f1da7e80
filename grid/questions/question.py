"""A question as a user writes it: a YAML file, checked line by line, not yet expanded into arms."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from cifar_models.config import Architecture, DatasetName, Frozen
from grid.errors import QuestionError, UserError, explain, first_error
from grid.questions.claims import Claim
from grid.questions.fields import NAME_PATTERN, AxisValues, Fields, Label, Name, Text
from grid.questions.sourced_yaml import Location, SourcedYaml, read_yaml

CATALOGUE = Path(__file__).parent / "catalogue"
PROFILES = Path(__file__).parent / "profiles.yaml"

MAX_PARTS = 100
"""More questions than there are to build on."""
MAX_CLAIMS = 100
"""More claims than anyone would read; each is looked up among all arms."""

M = TypeVar("M", bound=BaseModel)


class AxisSpec(Frozen):
    """How an axis is shown.

    Attributes:
        label: Its name on charts; the last part of the field's name if None.
        names: What to call a value, by the value as YAML writes it (`true`, `0.1`, `adam`).
    """

    label: Label | None = None
    names: dict[str, Label] = {}


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

    label: Label | None = None
    winners_of: list[Name] = Field(default=[], max_length=MAX_PARTS)
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
        claims: What a source says of the arms; the runs are judged by it, and it changes nothing in them.
        answers: What the literature says of it.
    """

    title: Text
    about: Text
    axes: dict[str, AxisSpec] = {}
    base: Fields = {}
    cells: list[CellBlock] = Field(min_length=1)
    profiles: dict[str, Budget] = {}
    claims: list[Claim] = Field(default=[], max_length=MAX_CLAIMS)
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
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise QuestionError(
                f"{source.path}: the file's name is the question's name and may hold only a-z, 0-9 and '-'; rename it"
            )
        if self.name in catalogue() and source.path.resolve().parent != CATALOGUE.resolve():
            raise QuestionError(
                f"{source.path}: {self.name} is a question of the catalogue; give the file another name"
            )
        self.question = _validate(Question, source)
        for profile in self.question.profiles:
            self._refuse_unknown_profile(profile, ("profiles", profile), "profiles")
        names: set[str] = set()
        for index, claim in enumerate(self.question.claims):
            if claim.name in names:
                message = f"claims.{index}.name: another claim is called {claim.name!r} too"
                raise source.error(("claims", index, "name"), message)
            names.add(claim.name)
            if claim.only_at:
                here = ("claims", index, "only_at", "profile")
                self._refuse_unknown_profile(claim.only_at.profile, here, f"claims.{index}.only_at.profile")

    def _refuse_unknown_profile(self, profile: str, here: Location, field: str) -> None:
        if profile not in read_profiles():
            message = f"{field}: there is no profile {profile!r}; there are {', '.join(read_profiles())}"
            raise self.source.error(here, message)


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
