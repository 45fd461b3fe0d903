"""Scores become spans by hand-made rules."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tools.select_moments.config import SelectConfig
from stages.tools.select_moments.spans import choose_spans, smoothed, spread


@pytest.mark.parametrize(
    ("scores", "settings", "expected"),
    [
        ("0011100000", {}, [(2, 5)]),
        ("1100000011", {"fill": 2}, [(0, 2), (8, 10)]),
        ("1100000011", {"fill": 6}, [(0, 10)]),
        ("0800009999", {"fill": 0}, [(6, 10)]),
        ("0900001111", {"fill": 0, "threshold": 0.1}, [(1, 2), (6, 10)]),
        ("0000090000", {}, [(5, 6)]),
        ("3333333333", {}, [(0, 10)]),
        ("5", {}, [(0, 1)]),
    ],
)
def test_spans(scores: str, settings: dict, expected: list) -> None:
    config = SelectConfig(window=1, **settings)
    assert choose_spans(np.array([float(c) for c in scores]), config) == expected


def test_smoothing_averages_what_is_there() -> None:
    found = smoothed(np.array([3.0, 0, 0, 9, 0]), 3)
    assert found.tolist() == [1.5, 1, 3, 3, 4.5]
    assert smoothed(np.array([1.0, 5]), 1).tolist() == [1, 5]


def test_frames_between_take_the_nearest_score() -> None:
    scores = np.array([[0.0], [4.0], [8.0]])
    assert spread(scores, 4, 10)[:, 0].tolist() == [0, 0, 4, 4, 4, 4, 8, 8, 8, 8]
    assert spread(scores, 1, 3)[:, 0].tolist() == [0, 4, 8]
