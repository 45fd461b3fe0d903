"""Spans, on hand-made rows and on random ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.media.spans import (
    drop_short,
    fill_gaps,
    merge_spans,
    shared_frames,
    span_mask,
    spans_of,
)


def row(text: str) -> np.ndarray:
    """ "..##." as bool."""
    return np.array([letter == "#" for letter in text], bool)


def show(inside: np.ndarray) -> str:
    return "".join("#" if value else "." for value in inside)


@pytest.mark.parametrize(
    ("text", "spans"),
    [("", []), ("...", []), ("###", [(0, 3)]), (".#.##", [(1, 2), (3, 5)])],
)
def test_spans(text: str, spans: list[tuple[int, int]]) -> None:
    assert spans_of(row(text)) == spans
    assert spans_of(list(row(text))) == spans


@given(st.lists(st.booleans(), max_size=40))
def test_spans_are_maximal_and_give_back_their_frames(inside: list[bool]) -> None:
    spans = spans_of(inside)
    assert span_mask(spans, len(inside)).tolist() == inside
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("text", "longest", "filled"),
    [("#.#..#...#", 2, "######...#"), ("..#.#..", 9, "..###.."), ("#.#", 0, "#.#")],
)
def test_only_gaps_between_spans_are_filled(text: str, longest: int, filled: str) -> None:
    before = row(text)
    assert show(fill_gaps(before, longest)) == filled
    assert show(before) == text


@pytest.mark.parametrize(
    ("text", "longest", "kept"),
    [("#.##.###", 1, "..##.###"), ("#.##.###", 2, ".....###"), ("#.#", 0, "#.#")],
)
def test_short_spans_are_dropped(text: str, longest: int, kept: str) -> None:
    before = row(text)
    assert show(drop_short(before, longest)) == kept
    assert show(before) == text


SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)).map(lambda s: (s[0], sum(s))))


@given(SPANS, SPANS)
def test_merged_spans_are_the_same_frames(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    masks = [span_mask(spans, 30) for spans in (one, other)]
    merged = [merge_spans(spans) for spans in (one, other)]
    assert merged == [spans_of(mask) for mask in masks]
    assert (
        shared_frames(*merged) == shared_frames(*merged[::-1]) == int((masks[0] & masks[1]).sum())
    )
