"""Windows cover a video, their samples are spread, and their scores come back to the frames."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tools.select_moments.judges.windows import sampled, spread_windows, windows_of


@pytest.mark.parametrize(
    ("frames", "length", "stride", "expected"),
    [
        (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
        (9, 4, 2, [(0, 4), (2, 6), (4, 8), (5, 9)]),
        (10, 4, 6, [(0, 4), (6, 10)]),
        (11, 4, 6, [(0, 4), (6, 10), (7, 11)]),
        (4, 4, 2, [(0, 4)]),
        (3, 16, 8, [(0, 3)]),
        (1, 1, 1, [(0, 1)]),
    ],
)
def test_windows(frames: int, length: int, stride: int, expected: list) -> None:
    assert windows_of(frames, length, stride) == expected


@pytest.mark.parametrize("frames", range(1, 40))
@pytest.mark.parametrize(("length", "stride"), [(1, 1), (5, 2), (4, 9), (16, 8)])
def test_every_frame_gets_a_score(frames: int, length: int, stride: int) -> None:
    windows = windows_of(frames, length, stride)
    assert all(0 <= start < end <= frames for start, end in windows)
    assert np.array_equal(spread_windows(np.ones(len(windows)), windows, frames), np.ones(frames))


def test_samples_are_the_middles_of_equal_parts() -> None:
    assert sampled(range(16), 4) == [2, 6, 10, 14]
    assert sampled(range(10, 15), 2) == [11, 13]
    assert sampled([3, 8], 4) == [3, 8]
    assert sampled(range(5), 1) == [2]


def test_a_frame_takes_the_mean_of_its_windows() -> None:
    windows = [(0, 4), (2, 6), (4, 8)]
    scores = np.array([[0.0, 1.0, np.nan], [np.nan, np.nan, 0.5]])
    found = spread_windows(scores, windows, 8)
    assert found[0].tolist() == [0, 0, 0.5, 0.5, 1, 1, 0, 0]
    assert found[1].tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]


def test_frames_between_windows_take_the_nearest_score() -> None:
    found = spread_windows(np.array([0.2, 0.8]), [(0, 2), (6, 8)], 8)
    assert found.tolist() == [0.2] * 4 + [0.8] * 4
