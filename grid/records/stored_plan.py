"""A plan as it was stored, which may come from a stranger: it is held to what a question file is held to."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from grid.errors import explain, first_error
from grid.questions.claim_checks import refuse_wrong_claims
from grid.questions.expansion import MAX_ARMS
from grid.questions.sourced_yaml import MAX_KEY, UNSAFE
from grid.questions.study import Study
from grid.records.plan import StudyPlan

MAX_TEXT = 20_000
"""Characters of a text; the longest answers of the catalogue have some hundreds."""


def read_plan(content: bytes) -> StudyPlan:
    """The plan in the bytes of a file.

    Raises:
        ValueError: It is no plan, or not one that any question could have become; the message is one line.
    """
    value = from_json(content, allow_inf_nan=False)
    _refuse_unusable(value)
    try:
        plan = StudyPlan.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(explain(first_error(error), StudyPlan)) from error
    _refuse_mismatches(plan.study)
    refuse_wrong_claims(plan.study, lambda location, message: ValueError(message), composed=True)
    num_arms = len(plan.study.arms)
    named = [trial.arm for trial in plan.trials]
    named += [standing.arm for standing in plan.screening.standings] if plan.screening else []
    if any(arm >= num_arms for arm in named):
        raise ValueError(f"a trial of arm {max(named)}, where there are {num_arms} arms")
    if len({(trial.arm, trial.seed, trial.stage) for trial in plan.trials}) < len(plan.trials):
        raise ValueError("a trial is planned twice")
    if any(len(look) != num_arms for look in (*plan.looks, *plan.shown)):
        raise ValueError("a look has not one number of seeds for each arm")
    return plan


def _refuse_mismatches(study: Study) -> None:
    """Refuses a study whose parts do not fit together."""
    labels, fields = [arm.label for arm in study.arms], [axis.field for axis in study.axes]
    if not 1 <= len(labels) <= MAX_ARMS or not study.seeds:
        raise ValueError(f"a study has 1 to {MAX_ARMS:,} arms and at least one seed")
    if len(set(labels)) < len(labels) or len(set(fields)) < len(fields):
        raise ValueError("two arms have the same label, or two axes the same field")
    if any(len(axis.values) != len(axis.names) for axis in study.axes):
        raise ValueError("an axis has not one name for each value")
    varied = set(study.arms[0].values)
    if any(set(arm.values) != varied for arm in study.arms) or not set(fields) <= varied:
        raise ValueError("an arm has not one value for each field that is varied")


def _refuse_unusable(value: Any) -> None:
    """Refuses text that steers a terminal, or that nobody wrote for people to read."""
    waiting: list[Any] = [[value]]
    names, texts = set[str](), set[str]()
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            names.update(here)
            here = here.values()
        waiting += [inner for inner in here if isinstance(inner, dict | list)]
        texts.update(inner for inner in here if isinstance(inner, str))
    if any(len(name) > MAX_KEY for name in names):
        raise ValueError(f"the name of a field has more than {MAX_KEY} characters")
    if any(len(text) > MAX_TEXT or UNSAFE.search(text) for text in names | texts):
        raise ValueError("holds a control character, or a text of more than a page")
