"""A question at one budget: every arm with its complete configuration, and the seeds that all arms share."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from cifar_models.config import Frozen, TrainConfig
from grid.questions.claims import Claim
from grid.questions.fields import Name
from grid.questions.question import Answer

DatasetLabel = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,80}$")]
"""A data set's name that can be part of a file's name; a folder of one's own may have capitals."""


class Axis(Frozen):
    """A field that varies between arms.

    Attributes:
        field: Its dotted name in `TrainConfig`.
        label: Its name on charts.
        values: The values tried, numbers by size, others in the order of first appearance.
        names: What to call each value, beside `values`.
    """

    field: str
    label: str
    values: tuple[Any, ...]
    names: tuple[str, ...]


class Arm(Frozen):
    """One setting that is compared with the others.

    Attributes:
        label: Its name on charts, unique in the study.
        values: Its value of every field that the question varies, by field; None where it has no such field.
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
        overrides: Fields that the user set for all arms of this run; the budget is not the profile's then.
        claims: What is claimed of the arms.
        answers: What the literature says of the question, apart from any run.
        vary: What the seed draws besides initialisation, order and dropout: `split`, which images are trained on and
            which are for validation. Without it, all trials share one split.
    """

    question: Name
    title: str
    about: str
    profile: Name
    dataset: DatasetLabel
    axes: tuple[Axis, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[Annotated[int, Field(ge=0)], ...]
    overrides: dict[str, Any] = {}
    claims: tuple[Claim, ...] = ()
    answers: tuple[Answer, ...] = ()
    vary: tuple[Literal["split"], ...] = ()

    def config(self, arm: int, seed: int) -> TrainConfig:
        """What a trial of an arm trains: the only place where a seed enters a configuration."""
        config = self.arms[arm].config.model_copy(update={"seed": seed})
        if "split" not in self.vary:
            return config
        return config.model_copy(update={"data": config.data.model_copy(update={"split_seed": seed})})

    @property
    def name(self) -> str:
        """Name of the study's page and file: unique for a question, profile and data set."""
        return f"{self.question}-{self.profile}-{self.dataset}"
