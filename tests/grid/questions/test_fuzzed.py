"""Any text, and any question with any value in any place, ends in a question or in one line."""

import contextlib
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import QuestionError, UserError
from grid.questions.expansion import make_study
from grid.questions.question import SourcedQuestion, catalogue, find_question, read_profiles
from grid.questions.sourced_yaml import MAX_MESSAGE, read_yaml
from grid.questions.study import Study
from tests.grid.constructed import HOSTILE


@given(
    st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1")), st.text("[]{}:,-?&*!|>'\"%@`#\n ~=<.1a"))
)
@settings(max_examples=150, deadline=None)
def test_no_text_ends_in_anything_but_a_question_or_a_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(QuestionError):
        read_yaml(path)


ODD: list[Any] = [
    None, True, 0, -1, 3, 2.5, 1e300, 10**30, float("inf"), float("nan"), "", "x", "1e-3", "../x", HOSTILE,
    [], [1], [[]], [None], ["x", 1], {}, {"x": 1}, {"x": {"y": [1]}}, {"optimizer": {"lr": 0.1}}, [{"a": 1}],
]  # fmt: skip
"""Values of every type that YAML knows."""


def _replaced(value: Any, rng: random.Random, odd: Any) -> Any:
    """A copy with one value, somewhere in it, replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {**value, str(odd)[:60] or "x": value[key]}
        return {**value, key: _replaced(value[key], rng, odd)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        return [*value[:index], _replaced(value[index], rng, odd), *value[index + 1 :]]
    return odd


@given(st.sampled_from(catalogue()), st.integers(0, 2**32), st.sampled_from(ODD))
@settings(max_examples=150, deadline=None)
def test_a_value_of_a_wrong_type_anywhere_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, odd: Any
) -> None:
    original = find_question(name).source.value
    broken = _replaced(original, random.Random(seed), odd)
    path = tmp_path_factory.getbasetemp() / "broken.yaml"
    path.write_text(yaml.safe_dump(broken, allow_unicode=True), encoding="utf-8")
    try:
        made = _quick(SourcedQuestion(read_yaml(path)))
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < MAX_MESSAGE + 200
    else:  # it happened to be right, and then it is kept and read back like any other
        assert Study.model_validate_json(made.model_dump_json()) == made


def _quick(question: SourcedQuestion) -> Study:
    profile = read_profiles()["quick"]
    winners: dict[str, dict[str, Any]] = {part: {} for part in question.question.parts}
    return make_study(
        question, "quick", profile, dataset="digits", dataset_label="digits", precision="fp32", winners=winners
    )
