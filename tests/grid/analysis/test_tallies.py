"""What is counted of answers, against examples worked by hand."""

import numpy as np
import pytest

from grid.analysis.tallies import overlap, together
from grid.tables.tallies import NUM_BINS, tally

LABEL, PREDICTED = [0, 0, 1, 1, 2], [0, 1, 1, 1, 0]
CONFIDENCE = [0.9, 0.9, 0.5, 0.5, 1.0]


def test_answers_are_counted_by_true_and_predicted_class() -> None:
    assert tally(LABEL, PREDICTED).confusion.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_what_is_right() -> None:
    # bins: two of 0.9 with one right, two of 0.5 with two right, one of 1.0 with none
    found = tally(LABEL, PREDICTED, CONFIDENCE)
    assert found.ece() == pytest.approx((abs(1 - 1.8) + abs(2 - 1.0) + abs(0 - 1.0)) / 5)
    assert found.bins is not None and found.bins.shape == (NUM_BINS, 3)
    assert found.bins[:, 0].nonzero()[0].tolist() == [7, 13, 14]
    assert np.isnan(tally(LABEL, PREDICTED).ece())


def test_trials_add_up_and_are_without_confidence_if_one_of_them_is() -> None:
    known, small = tally(LABEL, PREDICTED, CONFIDENCE), tally([0, 1], [1, 1], [0.5, 0.9])
    both = together([known, small])
    assert both.confusion.tolist() == [[1, 2, 0], [0, 3, 0], [1, 0, 0]]
    assert both.bins is not None and both.bins[:, 0].sum() == 7
    assert together([known, tally([0], [0])]).bins is None


def test_right_answers_of_two_arms_overlap_in_four_ways() -> None:
    first, second = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool), np.array([[1, 0, 1, 0], [1, 1, 1, 0]], bool)
    assert overlap(first, second).tolist() == [2, 0.5, 0.5, 1]
