"""Refuses a claim that speaks of no arm, so that a slip of the pen is not taken for something that was never run."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from grid.questions.claims import BestClaim, Selector
from grid.questions.sourced_yaml import Location
from grid.questions.study import Study, best_arms, matching_arms, value_key

MAX_NAMED = 12
"""Values or arms that a message lists."""

Complain = Callable[..., Exception]
"""Makes what is raised, of the side of a claim, a message, and the field if the message is about one."""


def refuse_wrong_claims(study: Study, error: Callable[[Location, str], Exception], *, composed: bool) -> None:
    """Checks that each claim of a study speaks of arms that it has.

    Only fields that the question itself varies can be named: those hold in every profile.

    Args:
        study: The study.
        error: Makes what is raised, of where something is wrong and of what.
        composed: Whether the study builds on what others found, which may turn out to be an arm that is there.

    Raises:
        Exception: A field is not varied, a value not tried, no arm matches, or two sides share an arm.
    """
    for index, claim in enumerate(study.claims):
        complain = partial(_complain, error, ("claims", index, claim.kind))
        arms = {side: _find(study, side, selector, complain) for side, selector in claim.statement.selectors.items()}
        if claim.best:
            _check_best(study, claim.best, complain)
        shared = sorted(set(arms.get("arm", ())) & set(arms.get("than", ())))
        if shared and not composed:
            raise complain("than", f"{study.arms[shared[0]].label!r} is on both sides; a claim compares two")


def _complain(
    error: Callable[[Location, str], Exception], claim: Location, side: str, message: str, field: str = ""
) -> Exception:
    return error((*claim, side, field), f"{'.'.join(map(str, (*claim, side)))}: {message}")


def _find(study: Study, side: str, selector: Selector, complain: Complain) -> tuple[int, ...]:
    """The arms on a side of a claim."""
    found = matching_arms(study, selector)
    if isinstance(selector, str):
        if not found:
            labels = _listed(repr(arm.label) for arm in study.arms)
            raise complain(side, f"no arm is called {selector!r:.80}; arms are {labels}")
        return found
    for field, wanted in selector.items():
        _check_varied(study, side, field, complain)
        tried = {value_key(arm.values[field]): arm.values[field] for arm in study.arms}
        for value in wanted if isinstance(wanted, list) and value_key(wanted) not in tried else [wanted]:
            if value_key(value) not in tried:
                values = _listed_values(tried.values())
                raise complain(side, f"{field} {value!r:.80} is not tried; tried are {values}", field)
    if not found:
        raise complain(side, "each of the values is tried, but no arm has all of them")
    return found


def _check_best(study: Study, best: BestClaim, complain: Complain) -> None:
    _check_varied(study, "axis", best.axis, complain)
    mine, others = best_arms(study, best)
    if not mine:
        tried = _listed_values(study.arms[arm].values[best.axis] for arm in others)
        raise complain("value", f"{best.axis} {best.value!r:.80} is not tried among them; tried are {tried}")
    if not others:
        raise complain("among", f"no other value of {best.axis} is left to compare with")


def _check_varied(study: Study, side: str, field: str, complain: Complain) -> None:
    varied = study.arms[0].values
    if field not in varied:
        raise complain(side, f"{field!r:.80} is varied by no cell; varied are {_listed(varied)}", field)


def _listed_values(values: Iterable[Any]) -> str:
    return _listed(dict.fromkeys(repr(value) for value in values))


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:MAX_NAMED]) + (", ..." if len(shown) > MAX_NAMED else "") or "none"
