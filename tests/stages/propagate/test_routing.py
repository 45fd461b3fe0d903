"""Routing, on hand-made rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.propagate.config import PropagateConfig
from stages.propagate.routing import (
    choose_route,
    drop_specks,
    fill_gaps,
    predicted_route,
    spans_of,
)


def row(text: str) -> np.ndarray:
    """ "..##." as bool."""
    return np.array([letter == "#" for letter in text])


def show(inside: np.ndarray) -> str:
    return "".join("#" if value else "." for value in inside)


@pytest.mark.parametrize(
    ("text", "spans"),
    [("", []), ("...", []), ("###", [(0, 3)]), (".#.##", [(1, 2), (3, 5)])],
)
def test_spans(text: str, spans: list[tuple[int, int]]) -> None:
    assert spans_of(row(text)) == spans


@pytest.mark.parametrize(
    ("text", "longest", "filled"),
    [
        ("#.#..#...#", 2, "######...#"),
        ("..#.#..", 9, "..###.."),
        ("#.#", 0, "#.#"),
    ],
)
def test_only_gaps_between_moments_are_filled(text: str, longest: int, filled: str) -> None:
    assert show(fill_gaps(row(text), longest)) == filled


@pytest.mark.parametrize(
    ("text", "longest", "kept"),
    [("#.##.###", 1, "..##.###"), ("#.##.###", 2, ".....###"), ("#.#", 0, "#.#")],
)
def test_specks_are_dropped(text: str, longest: int, kept: str) -> None:
    assert show(drop_specks(row(text), longest)) == kept


def test_gaps_are_filled_before_specks_are_dropped() -> None:
    relevance = row("#.#.#.....").astype(float)
    config = PropagateConfig(fill_gaps=1, drop_specks=1)
    assert show(predicted_route(relevance, config).guided) == "#####....."


def test_the_best_frame_stands_in_for_a_moment() -> None:
    route = predicted_route(np.array([0.1, 0.4, 0.2]), PropagateConfig())
    assert show(route.guided) == ".#."
    assert route.source == "best frame"


def test_below_the_no_target_threshold_nothing_is_guided() -> None:
    config = PropagateConfig(no_target_threshold=0.5)
    route = predicted_route(np.array([0.1, 0.4, 0.2]), config)
    assert route.empty
    assert route.words() == ["empty"] * 3


def test_annotated_without_target_is_empty_and_without_moment_predicted() -> None:
    config = PropagateConfig(moments="annotated")
    relevance = np.array([0.9, 0.9, 0.1])
    assert choose_route(relevance, None, has_target=False, config=config).empty
    route = choose_route(relevance, None, has_target=True, config=config)
    assert (show(route.guided), route.source) == ("##.", "predicted")
    known = choose_route(relevance, row("..#"), has_target=True, config=config)
    assert (show(known.guided), known.source) == ("..#", "annotated")


def test_all_guides_every_frame_of_every_sentence() -> None:
    config = PropagateConfig(moments="all")
    route = choose_route(np.zeros(4), row("..#."), has_target=False, config=config)
    assert show(route.guided) == "####"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5), st.integers(0, 5))
def test_a_predicted_route_is_never_empty_without_a_no_target_threshold(
    relevance: list[float], gaps: int, specks: int
) -> None:
    config = PropagateConfig(fill_gaps=gaps, drop_specks=specks)
    route = predicted_route(np.array(relevance), config)
    assert route.guided.any()
    for start, end in spans_of(route.guided):
        assert end - start > specks or route.source == "best frame"
