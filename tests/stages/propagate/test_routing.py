"""Routing, on hand-made rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.core.media.spans import spans_of
from stages.propagate.config import PropagateConfig
from stages.propagate.routing import choose_route, predicted_route


def row(text: str) -> np.ndarray:
    """ "..##." as bool."""
    return np.array([letter == "#" for letter in text])


def show(inside: np.ndarray) -> str:
    return "".join("#" if value else "." for value in inside)


def test_gaps_are_filled_before_short_spans_are_dropped() -> None:
    relevance = row("#.#.#.....").astype(float)
    config = PropagateConfig(fill_gaps=1, drop_specks=1)
    assert show(predicted_route(relevance, config).guided) == "#####....."


def test_the_best_frame_stands_in_for_a_moment() -> None:
    route = predicted_route(np.array([0.1, 0.4, 0.2]), PropagateConfig())
    assert show(route.guided) == ".#."
    assert route.source == "best frame"


def test_below_the_no_target_threshold_nothing_is_guided() -> None:
    config = PropagateConfig(no_target_threshold="0.5")
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
    never = choose_route(relevance, row("..."), has_target=True, config=config)
    assert (never.empty, never.source) == (True, "no target")


def test_all_guides_every_frame_of_every_sentence() -> None:
    config = PropagateConfig(moments="all")
    route = choose_route(np.zeros(4), row("..#."), has_target=False, config=config)
    assert show(route.guided) == "####"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5), st.integers(0, 5))
def test_a_predicted_route_is_never_empty_without_a_no_target_threshold(
    relevance: list[float], gaps: int, shortest: int
) -> None:
    config = PropagateConfig(fill_gaps=gaps, drop_specks=shortest)
    route = predicted_route(np.array(relevance), config)
    assert route.guided.any()
    for start, end in spans_of(route.guided):
        assert end - start > shortest or route.source == "best frame"
