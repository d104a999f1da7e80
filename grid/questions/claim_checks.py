"""Refuses a claim that speaks of no arm, so that a slip of the pen is not taken for something that was never run."""

from collections.abc import Callable, Iterable
from typing import Any

from grid.questions.claims import BestClaim, Claim, Selector, best_arms, matching_arms, value_key
from grid.questions.fields import Fields
from grid.questions.sourced_yaml import Location
from grid.questions.study import Study

MAX_NAMED = 12
"""Values or arms that a message lists."""


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
        _ClaimCheck(study, error, index, claim).refuse(composed=composed)


class _ClaimCheck:
    """One claim, and where it stands."""

    def __init__(self, study: Study, error: Callable[[Location, str], Exception], index: int, claim: Claim) -> None:
        self.study = study
        self.error = error
        self.claim = claim
        self.here: Location = ("claims", index, claim.kind)

    def refuse(self, *, composed: bool) -> None:
        arms = {side: self._find(selector, side) for side, selector in self.claim.statement.selectors.items()}
        if self.claim.best:
            self._check_best(self.claim.best)
        shared = sorted(set(arms.get("arm", ())) & set(arms.get("than", ())))
        if shared and not composed:
            raise self._error("than", f"{self.study.arms[shared[0]].label!r} is on both sides; a claim compares two")

    def _find(self, selector: Selector, side: str) -> tuple[int, ...]:
        if not isinstance(selector, str):
            self._check_fields(selector, side)
        found = matching_arms(self.study, selector)
        if not found and isinstance(selector, str):
            labels = _listed(repr(arm.label) for arm in self.study.arms)
            raise self._error(side, f"no arm is called {selector!r:.80}; arms are {labels}")
        if not found:
            raise self._error(side, "each of the values is tried, but no arm has all of them")
        return found

    def _check_best(self, best: BestClaim) -> None:
        axis, value = best.axis, best.value
        self._check_varied(axis, "axis")
        mine, others = best_arms(self.study, best)
        if not mine:
            tried = _listed_values(self.study.arms[arm].values[axis] for arm in others)
            raise self._error("value", f"{axis} {value!r:.80} is not tried among them; tried are {tried}")
        if not others:
            raise self._error("among", f"no other value of {axis} is left to compare with")

    def _check_fields(self, fields: Fields, side: str) -> None:
        for field, wanted in fields.items():
            self._check_varied(field, side)
            tried = {value_key(arm.values[field]): arm.values[field] for arm in self.study.arms}
            choices = wanted if isinstance(wanted, list) and value_key(wanted) not in tried else [wanted]
            for value in choices:
                if value_key(value) not in tried:
                    message = f"{field} {value!r:.80} is not tried; tried are {_listed_values(tried.values())}"
                    raise self._error(side, message, field)

    def _check_varied(self, field: str, side: str) -> None:
        varied = self.study.arms[0].values
        if field not in varied:
            raise self._error(side, f"{field!r:.80} is varied by no cell; varied are {_listed(varied)}", field)

    def _error(self, side: str, message: str, field: str = "") -> Exception:
        location = (*self.here, side, field)
        return self.error(location, f"{'.'.join(map(str, (*self.here, side)))}: {message}")


def _listed_values(values: Iterable[Any]) -> str:
    return _listed(dict.fromkeys(repr(value) for value in values))


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:MAX_NAMED]) + (", ..." if len(shown) > MAX_NAMED else "") or "none"
