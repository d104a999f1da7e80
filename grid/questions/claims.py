"""What a source claims of a question's arms: data that is written before the runs.

What an arm reaches and how well it fits depend on how long it was trained, and on which images. Such claims of the
catalogue are judged at the report's own budget only; that one arm is better than another, at any.

A published accuracy is of one run. Measured on 10,000 images, 80 % has a standard error of 0.4 points from the images
alone, and the seed adds about as much. So the catalogue takes an accuracy for reached within 1 point, about two such
errors, and a loss within 0.05: it goes up by about 0.03 when accuracy goes down by a point (0.609 at 20 % errors), and
moves with overfitting besides.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from cifar_models.config import DatasetName, Frozen
from grid.questions.fields import Fields, Name, Text, flat_fields
from grid.questions.measures import MEASURES, CurveName, FinalName


def _fields_or_label(selector: Any) -> Any:
    if isinstance(selector, str) and selector.strip():
        return " ".join(selector.split())
    if not isinstance(selector, dict):
        raise ValueError(f"{selector!r:.80} names no arm; give its fields or its label")
    return flat_fields(selector)


Selector = Annotated[dict[str, Any] | str, BeforeValidator(_fields_or_label)]
"""Arms by what they have in common, values by dotted field (a list means any of its values), or one by its label."""


class Statement(Frozen):
    """What a claim states. Each kind of claims is a subclass; `grid.analysis.hypotheses` says how each is tested."""

    @property
    def selectors(self) -> dict[str, Selector]:
        """What names its arms, by the field that holds it."""
        return {side: getattr(self, side) for side in ("arm", "than", "among") if hasattr(self, side)}


class OfEachArm(Statement):
    """A statement that holds of each of some arms.

    Attributes:
        arm: The arms.
    """

    arm: Selector


class OfTwoArms(Statement):
    """A statement that compares two arms. Where several match, they are represented by the best on validation.

    Attributes:
        arm: The one that it is about.
        than: The one that it is compared with.
    """

    arm: Selector
    than: Selector


class BestClaim(Statement):
    """A value is the best on its axis: no other one has a better test accuracy.

    Attributes:
        axis: The field.
        value: Its best value. Where several arms have it, they are represented by the best on validation.
        among: Which arms are compared; all if empty. The axis may be in it, to leave some of its values out.
    """

    axis: str
    value: Any
    among: Fields = {}


class BetterClaim(OfTwoArms):
    """An arm has the better test accuracy.

    Attributes:
        by: Points of accuracy by which it is better at least.
    """

    by: float = Field(default=0.0, ge=0, le=100)


class FitClaim(OfEachArm, populate_by_name=True):
    """All of the arms fit their training images so well, and no better; the words are those of `grid.tables.fit`.

    Attributes:
        label: How well; `is` in a question's file.
    """

    label: Literal["underfit", "well fit", "overfit"] = Field(alias="is")


class LevelClaim(OfEachArm):
    """All of the arms reach a level. Accuracies are fractions, losses mean cross-entropies in nats.

    Attributes:
        measure: What is measured.
        about: Where it is,
        within: and how far it may be from there.
        at_least: What it reaches.
        at_most: What it does not exceed.
        over: What the interval speaks of: other `seeds` on these very test images, other `images` for these very
            trainings, or `both`, which is what is meant if nothing is given. Of anything but test accuracy, right
            answers image by image are not kept, so there it is `seeds`.
    """

    measure: FinalName
    about: float | None = Field(default=None, ge=0)
    within: float | None = Field(default=None, gt=0)
    at_least: float | None = Field(default=None, ge=0)
    at_most: float | None = Field(default=None, ge=0)
    over: Literal["seeds", "images", "both"] | None = None

    @model_validator(mode="after")
    def _is_one_level(self) -> Self:
        levels = [level for level in (self.about, self.at_least, self.at_most) if level is not None]
        if len(levels) != 1 or (self.about is None) != (self.within is None):
            raise ValueError("give about and within, or at_least, or at_most")
        if not MEASURES[self.measure].is_loss and max(*levels, self.within or 0) > 1:
            raise ValueError(f"{self.measure} is a fraction: 0.8 is 80 %")
        if self.measure != "test_acc" and self.over in ("images", "both"):
            raise ValueError(f"over: {self.over} is for test_acc; of {self.measure} only seeds can be judged")
        return self

    @property
    def judged_over(self) -> Literal["seeds", "images", "both"]:
        """What its interval speaks of."""
        return self.over or ("both" if self.measure == "test_acc" else "seeds")


class CurveClaim(OfTwoArms, populate_by_name=True):
    """A curve changes sooner, later, or with smaller jumps.

    Attributes:
        of: The measure, epoch by epoch.
        change: `faster` and `slower` speak of when a level is reached, `smoother` of jumps against the trend; `is` in
            a question's file.
    """

    of: CurveName
    change: Literal["faster", "slower", "smoother"] = Field(alias="is")


class Published(Frozen):
    """The runs that a claim can be judged by.

    Attributes:
        profile: Name of the budget.
        dataset: The data set.
    """

    profile: str
    dataset: DatasetName


class Claim(Frozen):
    """Something that a source says of a question's arms, of exactly one kind.

    Attributes:
        name: Its name, unique in the question.
        says: What is said, in words.
        source: Where.
        only_at: Where it can be judged, if it is about numbers of one budget and data set; None if anywhere.
        best: A value is the best on its axis.
        better: An arm is better than another.
        fit: How well arms fit.
        level: What arms reach.
        curve: How one curve differs from another.
    """

    name: Name
    says: Text
    source: Text
    only_at: Published | None = None
    best: BestClaim | None = None
    better: BetterClaim | None = None
    fit: FitClaim | None = None
    level: LevelClaim | None = None
    curve: CurveClaim | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(KINDS)}; here are {', '.join(given) or 'none'}")
        if self.level and self.level.about is not None and self.only_at is None:
            raise ValueError("a published number needs only_at: the profile and the dataset that it belongs to")
        return self

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def statement(self) -> Statement:
        """What it states."""
        stated: Statement = getattr(self, self.kind)
        return stated


KINDS: dict[str, type[Statement]] = {
    name: part
    for name, field in Claim.model_fields.items()
    for part in get_args(field.annotation)
    if isinstance(part, type) and issubclass(part, Statement)
}
"""The kinds of claims, by the field of a claim that states them."""


def claims_hash(claims: Iterable[Claim]) -> str:
    """SHA-256, as hexadecimal digits, of what is claimed, whatever the order: proof of what stood there at the time."""
    content = [claim.model_dump(mode="json") for claim in sorted(claims, key=lambda claim: claim.name)]
    for level in (claim["level"] for claim in content if claim["level"]):
        if level["over"] is None:  # claims that were hashed before this could be said have the same hash
            del level["over"]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
