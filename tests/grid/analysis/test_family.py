"""The correction of all p-values of a page: by hand, and against the second implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.analysis.family import BETTER, CLAIMS, EQUAL, LAST_STEP, WINNERS, _corrected
from grid.analysis.inference import ALPHA
from tests.grid.report.second_implementation import correct

p_values = st.lists(st.floats(1e-6, 1) | st.just(np.nan), max_size=6)


def test_the_shares_of_the_error_rate_are_the_whole() -> None:
    assert pytest.approx(1) == BETTER + EQUAL + WINNERS


def test_claims_and_pairs_have_their_shares_and_pass_them_on_when_they_are_decided() -> None:
    claims, pairs = 0.001, [0.002, 0.6]
    assert _corrected(np.array([claims, *pairs]), 1, ALPHA) == pytest.approx([0.001 / CLAIMS, 0.004, 0.6])
    assert _corrected(np.array([0.9, *pairs]), 1, ALPHA) == pytest.approx([1, 0.004 / (1 - CLAIMS), 1])
    assert _corrected(np.array([np.nan, *pairs]), 1, ALPHA)[1:] == pytest.approx([0.004, 0.6]), "nothing to decide"


@given(claims=p_values, pairs=p_values, level=st.floats(0.001, 0.05), last_step=st.sampled_from([0, LAST_STEP]))
def test_the_second_implementation_corrects_alike(
    claims: list[float], pairs: list[float], level: float, last_step: float
) -> None:
    expected = np.concatenate(correct(claims, pairs, level, last_step))
    seen = _corrected(np.array([*claims, *pairs], dtype=float), len(claims), level, last_step)
    assert seen == pytest.approx(expected, nan_ok=True)
