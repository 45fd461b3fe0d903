"""Matching spans: against every possible assignment, and the cases without spans."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK

from stages.core.media.spans import spans_of
from stages.core.statistics.matching import f1, hits, matched_pairs, tiou_matrix

MASKS = st.lists(st.booleans(), min_size=1, max_size=14)


def spans(mask: list[bool]) -> np.ndarray:
    return np.array(spans_of(mask)).reshape(-1, 2)


def assignments(tiou: np.ndarray) -> list[list[tuple[int, int]]]:
    """Every one-to-one assignment of as many spans as there are on the smaller side."""
    rows, columns = tiou.shape
    if rows > columns:
        return [[(r, c) for c, r in pairs] for pairs in assignments(tiou.T)]
    return [list(enumerate(chosen)) for chosen in permutations(range(columns), rows)]


@QUICK
@given(one=MASKS, other=MASKS)
def test_the_best_of_all_assignments(one: list[bool], other: list[bool]) -> None:
    tiou = tiou_matrix(spans(one), spans(other))
    every = assignments(tiou)
    pairs = matched_pairs(tiou)
    best = max(sum(tiou[pair] for pair in chosen) for chosen in every)
    assert tiou[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    for threshold in (0.3, 0.5, 0.7):
        most = max(sum(tiou[pair] >= threshold for pair in chosen) for chosen in every)
        assert hits(tiou, threshold) == most


@QUICK
@given(one=MASKS, other=MASKS)
def test_both_sides_are_alike(one: list[bool], other: list[bool]) -> None:
    tiou = tiou_matrix(spans(one), spans(other))
    assert ((tiou >= 0) & (tiou <= 1)).all()
    assert tiou_matrix(spans(other), spans(one)).tolist() == tiou.T.tolist()
    assert hits(tiou.T, 0.5) == hits(tiou, 0.5)
    shared = tiou[tuple(matched_pairs(tiou).T)].sum()
    assert tiou.T[tuple(matched_pairs(tiou.T).T)].sum() == pytest.approx(shared)


@QUICK
@given(mask=MASKS)
def test_equal_spans_match_fully(mask: list[bool]) -> None:
    own = spans(mask)
    tiou = tiou_matrix(own, own)
    assert hits(tiou, 1.0) == len(own)
    assert tiou[tuple(matched_pairs(tiou).T)].tolist() == [1.0] * len(own)


def test_by_hand() -> None:
    # [0, 10) and [5, 15) share 5 of 15 frames; spans that only touch share none.
    assert tiou_matrix(np.array([[0, 10]]), np.array([[5, 15], [10, 12]])).tolist() == [[1 / 3, 0]]


def test_a_hit_is_not_given_up_for_a_larger_sum() -> None:
    # [10, 20) and [8, 16) have IoU 6 / 12 = 0.5. The largest sum pairs [10, 20) with [16, 20), 0.4,
    # and [5, 10) with [8, 16), 2 / 11: no hit at 0.5, although one is possible.
    tiou = tiou_matrix(np.array([[5, 10], [10, 20]]), np.array([[8, 16], [16, 20]]))
    assert (tiou[tuple(matched_pairs(tiou).T)] < 0.5).all()
    assert hits(tiou, 0.5) == 1


def test_without_spans() -> None:
    none, some = np.zeros((0, 2), int), np.array([[0, 3]])
    for one, other in ((none, some), (some, none), (none, none)):
        tiou = tiou_matrix(one, other)
        assert len(matched_pairs(tiou)) == 0
        assert hits(tiou, 0.5) == 0
    assert f1(0, 1) == 0
    assert np.isnan(f1(0, 0))
    assert f1(np.array([1, 2]), np.array([3, 4])).tolist() == [2 / 3, 1]
