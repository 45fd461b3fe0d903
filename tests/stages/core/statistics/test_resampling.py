"""Intervals over videos: what they cover, and the values where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK

from stages.core.statistics.resampling import (
    RESAMPLES,
    drawn_videos,
    interval_of_medians,
    interval_of_sums,
    weighted_median,
)


def mean(sums: np.ndarray) -> np.ndarray:
    """Figure of sums and counts."""
    return np.divide(
        sums[..., :1],
        sums[..., 1:],
        out=np.full_like(sums[..., :1], np.nan),
        where=sums[..., 1:] > 0,
    )


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, 200)
    ((low, high),) = interval_of_sums(np.stack([values, np.ones(200)], axis=1), mean)
    error = values.std() / np.sqrt(200)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_draws_are_the_same_in_every_run() -> None:
    first, second = (np.concatenate(list(drawn_videos(5))) for _ in range(2))
    assert first.shape == (RESAMPLES, 5)
    assert (first == second).all()


def test_nothing_can_be_said_of_one_video_or_of_no_values() -> None:
    assert np.isnan(interval_of_sums(np.array([[2.0, 1.0]]), mean)).all()
    assert np.isnan(interval_of_sums(np.zeros((4, 2)), mean)).all()
    assert np.isnan(interval_of_medians(np.zeros((0, 2)), np.zeros(0, int), 4)).all()


def test_resamples_without_a_value_are_left_out() -> None:
    sums = np.array([[1.0, 1.0], [0.0, 0.0]])  # a quarter of the draws has the second video alone
    assert interval_of_sums(sums, mean).tolist() == [[1.0, 1.0]]


def test_the_median_of_resampled_videos() -> None:
    values = np.array([[0, 5], [0, 5], [10, 5]])
    found = interval_of_medians(values, np.array([0, 1, 2]), 3)
    assert found.tolist() == [[0, 10], [5, 5]]


@QUICK
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 4)), min_size=1, max_size=12))
def test_weighted_median(items: list[tuple[int, int]]) -> None:
    counts: dict[int, int] = {}
    for value, weight in items:
        counts[value] = counts.get(value, 0) + weight
    values = np.array(sorted(counts))
    weights = np.array([counts[value] for value in values])
    every = np.repeat(values, weights)
    expected = np.median(every) if len(every) else np.nan
    assert weighted_median(values, weights) == pytest.approx(expected, nan_ok=True)
