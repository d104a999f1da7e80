import math

from grid.formats import NOTHING, duration, unbroken


def test_a_duration_is_in_the_unit_that_suits_it() -> None:
    assert [duration(seconds) for seconds in (4.24, 200, 7500)] == ["4.2 s", "3 min 20 s", "2 h 5 min"]


def test_a_rough_duration_has_whole_seconds() -> None:
    assert duration(29.6, 0) == "30 s"


def test_a_duration_that_does_not_exist_is_a_dash() -> None:
    assert [duration(seconds) for seconds in (None, math.nan, math.inf)] == [NOTHING] * 3


def test_numbers_stay_on_a_line_with_what_they_belong_to() -> None:
    bound = unbroken("12.5 % of it; p = 0.03 corrected, p < 0.001; a group = 3").replace("\N{NO-BREAK SPACE}", "~")
    assert bound == "12.5~% of it; p~=~0.03 corrected, p~<~0.001; a group = 3"
