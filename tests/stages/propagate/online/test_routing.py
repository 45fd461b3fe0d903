"""Schedules and causal routes: bounds that hold for every delay, and the offline rule cut short."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.media.spans import drop_short, fill_gaps
from stages.propagate.config import PropagateConfig
from stages.propagate.online.routing import (
    LARGEST_STEP,
    MomentFinder,
    Schedule,
    moment_finder,
    smoothing_reach,
)

DELAYS = st.integers(0, 80)


@given(delay=DELAYS, reach=st.integers(0, 60), steps=st.integers(1, 12))
def test_every_frame_leaves_within_the_delay_and_after_its_route(
    delay: int, reach: int, steps: int
) -> None:
    schedule = Schedule.of(delay, reach)
    assert 1 <= schedule.step <= LARGEST_STEP
    left = 0
    for number in range(1, steps + 1):
        arrived = number * schedule.step
        finished = schedule.finished(arrived)
        assert left <= finished <= schedule.routed(arrived) <= arrived
        left = finished
        # Until the next step, as many frames as a step come: the oldest one waits for all of them.
        newest = arrived + schedule.step - 1
        assert newest - finished <= delay


def test_without_delay_a_frame_leaves_when_it_comes() -> None:
    schedule = Schedule.of(0, 40)
    assert (schedule.ahead, schedule.step) == (0, 1)
    assert schedule.finished(5) == schedule.routed(5) == 5


def test_a_delay_looks_no_further_than_a_route_reaches() -> None:
    assert Schedule.of(1000, 34).ahead == 34


@given(
    relevance=st.lists(st.sampled_from([0.1, 0.9]), min_size=1, max_size=40),
    gaps=st.integers(0, 4),
    shortest=st.integers(0, 4),
    delay=st.integers(0, 20),
)
def test_routes_are_the_offline_ones_of_what_has_come(
    relevance: list[float], gaps: int, shortest: int, delay: int
) -> None:
    config = PropagateConfig(fill_gaps=gaps, drop_specks=shortest)
    schedule, finder = Schedule.of(delay, 100), MomentFinder(config)
    values, routed = np.array(relevance, np.float32), 0
    for arrived in range(1, len(values) + 1):
        until = schedule.routed(arrived)
        first = max(0, routed - smoothing_reach(config))
        got = finder.decide(values[first:arrived], first, routed, until)
        whole = drop_short(fill_gaps(values[:arrived] >= 0.5, gaps), shortest)
        assert got.tolist() == whole[routed:until].tolist()
        routed = until


def test_nothing_begins_below_the_no_target_threshold() -> None:
    finder = MomentFinder(PropagateConfig(no_target_threshold="0.8", drop_specks=0))
    low = np.array([0.6, 0.7], np.float32)
    assert not finder.decide(low, 0, 0, 2).any()
    # From the frame on that reaches it, and it stays reached.
    assert finder.decide(np.array([0.6, 0.7, 0.9], np.float32), 0, 2, 3).all()
    assert finder.decide(np.array([0.9, 0.6], np.float32), 2, 3, 4).all()


@pytest.mark.parametrize(
    ("moments", "known", "has_target", "expected", "source"),
    [
        ("annotated", [0, 1, 1, 0], True, [0, 1, 1, 0], "annotated"),
        ("file", [1, 0, 0, 0], True, [1, 0, 0, 0], "file"),
        ("annotated", [0, 0, 0, 0], True, [0, 0, 0, 0], "annotated"),
        ("annotated", None, False, [0, 0, 0, 0], "annotated"),
        ("annotated", None, True, [1, 1, 0, 0], "predicted"),
        ("file", None, True, [1, 1, 0, 0], "predicted"),
        ("predicted", [0, 1, 1, 0], True, [1, 1, 0, 0], "predicted"),
        ("all", [0, 1, 1, 0], True, [1, 1, 1, 1], "all"),
    ],
)
def test_what_routes_a_sentence_of_an_index(
    moments: str, known: list[int] | None, has_target: bool, expected: list[int], source: str
) -> None:
    mask = None if known is None else np.array(known, bool)
    finder = moment_finder(PropagateConfig(moments=moments), mask, has_target=has_target, frames=4)
    relevance = np.array([0.9, 0.9, 0.1, 0.1], np.float32)
    assert finder.decide(relevance, 0, 0, 4).tolist() == [bool(here) for here in expected]
    assert finder.source == source
