"""Findings in the words of a person."""

import pytest

from grid.analysis.wording import effect_in_words
from grid.formats import MINUS


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"kind": "difference", "estimate": 0.012, "low": -0.001, "high": 0.025},
            f"+1.2 points ({MINUS}0.1 to +2.5)",
        ),
        (
            {"kind": "delay", "estimate": -2.0, "low": -3.0, "high": -1.0},
            f"{MINUS}2.0 epochs ({MINUS}3.0 to {MINUS}1.0)",
        ),
        ({"kind": "delay", "estimate": 1.5, "low": None, "high": None}, "+1.5 epochs"),
        ({"kind": "roughness", "estimate": 0.051, "low": 0.01, "high": 0.09}, "+5.1 % (+1.0 to +9.0)"),
        ({"kind": "level", "estimate": 0.6512, "low": 0.64, "high": 0.66}, "0.651 (0.640 to 0.660)"),
        ({"kind": "fit", "estimate": 2 / 3, "low": 0.1, "high": 0.9}, "67 % of seeds (10 to 90)"),
        ({"kind": None, "estimate": None, "low": None, "high": None}, ""),
    ],
)
def test_an_effect_has_its_unit_and_its_interval(row: dict[str, object], words: str) -> None:
    assert effect_in_words(row) == words
