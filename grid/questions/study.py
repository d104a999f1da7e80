"""A question at one budget: arms, each with its configuration, the seeds, and the choice of arms by their values."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from cifar_models.config import Frozen, TrainConfig
from grid.questions.claims import BestClaim, Claim, Selector, Statement
from grid.questions.fields import Name, has_field
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

    @property
    def name(self) -> str:
        """Name of the study's page and file: unique for a question, profile and data set."""
        return f"{self.question}-{self.profile}-{self.dataset}"


def matching_arms(study: Study, selector: Selector) -> tuple[int, ...]:
    """Indices of the arms that have all of the values, or that go by the label.

    An arm that is two cells of the question at once goes by the label of each.
    """
    if isinstance(selector, str):
        return tuple(i for i, arm in enumerate(study.arms) if selector in (arm.label, *arm.label.split(" = ")))
    wanted = {
        field: {value_key(each) for each in ([value, *value] if isinstance(value, list) else [value])}
        for field, value in selector.items()
    }
    return tuple(
        i
        for i, arm in enumerate(study.arms)
        if all(field in arm.values and value_key(arm.values[field]) in keys for field, keys in wanted.items())
    )


def arms_of(study: Study, statement: Statement) -> tuple[int, ...]:
    """Indices of all arms that a statement speaks of; of a value that is best, the arms that have it come first."""
    if isinstance(statement, BestClaim):
        mine, others = best_arms(study, statement)
        return (*mine, *others)
    return tuple(arm for selector in statement.selectors.values() for arm in matching_arms(study, selector))


def best_arms(study: Study, best: BestClaim) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of the arms with the value that is claimed to be best, and of those with any other value of the axis.

    Both are of the arms in `among`. An arm that has no such field is in neither.
    """
    among = [i for i in matching_arms(study, best.among) if has_field(study.arms[i].config, best.axis)]
    claimed = {i: value_key(study.arms[i].values.get(best.axis)) == value_key(best.value) for i in among}
    return tuple(i for i in among if claimed[i]), tuple(i for i in among if not claimed[i])


def value_key(value: Any) -> str:
    """Equal for what a configuration takes for the same value: 1 and 1.0; 0.001 and 1e-3, which YAML takes for text."""
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return repr(value)
