"""Stratified draws: an order of the images in which every beginning has the classes in proportion."""

import heapq

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def stratified_order(labels: npt.NDArray[np.integer], random: np.random.RandomState) -> Indices:
    """Puts all images in a random order whose every prefix is stratified.

    Of the first k of N images, a class with n images has floor(k*n/N) or ceil(k*n/N). A larger draw
    therefore contains every smaller one, and each is stratified as exactly as whole images allow.

    Args:
        labels: `(N,)` classes, from 0.
        random: Decides which images of a class come first, and which class where two are equally due.
            A `RandomState`, because numpy has frozen its stream: the draw is the same under every version.

    Returns:
        `(N,)` indices, each once.
    """
    shuffled = random.permutation(len(labels)).astype(np.int64)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    classes = _proportional_sequence(counts, random.permutation(len(counts)))
    order = np.empty(len(labels), dtype=np.int64)
    order[np.argsort(classes, kind="stable")] = by_class
    return order


def _proportional_sequence(counts: npt.NDArray[np.integer], precedence: npt.NDArray[np.integer]) -> Indices:
    """The class at each place, so that every prefix has each class in proportion, rounded down or up.

    Image j (from 0) of a class with n of N images may come at place floor(j*N/n) or later, and must have
    come after ceil((j+1)*N/n) places; of those that may come, the one that must come first does. That
    this meets all limits is the theorem behind proportionate fair scheduling.

    Source: Baruah et al., Proportionate progress: a notion of fairness in resource allocation (1996).
    """
    total = int(counts.sum())
    may_come: list[list[int]] = [[] for _ in range(total + 1)]
    may_come[0] = [int(c) for c in np.flatnonzero(counts)]
    num_placed = [0] * len(counts)
    due: list[tuple[int, int, int]] = []
    sequence = np.empty(total, dtype=np.int64)
    for place in range(total):
        for c in may_come[place]:
            deadline = -(-(num_placed[c] + 1) * total // int(counts[c]))
            heapq.heappush(due, (deadline, int(precedence[c]), c))
        _, _, c = heapq.heappop(due)
        sequence[place] = c
        num_placed[c] += 1
        if num_placed[c] < counts[c]:
            may_come[max(place + 1, num_placed[c] * total // int(counts[c]))].append(c)
    return sequence


FIXED_TEST_SEED = 20_090_408
"""Seed of the test part of data that has none of its own; a constant, so that no setting can move it."""

MIN_FOR_FIXED_TEST_PART = 5
"""Images that a class needs, so that it is in the fixed test part (a fifth of all, rounded up) for certain."""


def fixed_test_part(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Sets a fifth of the images aside for testing, for data sets that have no test part of their own.

    It depends on nothing but the labels and their order.

    Args:
        labels: `(N,)` classes, from 0.

    Returns:
        `(N,) bool`, true for the test images.
    """
    is_test = np.zeros(len(labels), dtype=np.bool_)
    order = stratified_order(labels, np.random.RandomState(FIXED_TEST_SEED))
    is_test[order[: -(-len(labels) // 5)]] = True
    return is_test
