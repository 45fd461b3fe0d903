"""Decisions from what the track head says."""

import numpy as np
import pytest

from stages.core.model.track_head.decide import VOTE_WEIGHT, target_probability, track_scores


def test_both_the_best_track_and_the_frames_speak_for_a_target() -> None:
    frames = np.full(20, 0.5)
    assert target_probability(np.array([0.2, 0.8]), frames) == pytest.approx(0.8)
    relevant = np.concatenate([np.full(15, 0.01), np.full(5, 0.9)])
    both = target_probability(np.array([0.8]), relevant)
    assert both == pytest.approx(0.8 * 0.9 / (0.8 * 0.9 + 0.2 * 0.1))
    assert target_probability(np.array([0.8]), np.full(20, 0.01)) < 0.1


def test_one_high_frame_among_many_is_not_enough() -> None:
    single = np.full(100, 0.01)
    single[3] = 0.99
    assert target_probability(np.array([0.5]), single) < 0.3


def test_without_tracks_there_is_no_target() -> None:
    assert target_probability(np.zeros(0), np.ones(5)) == 0


def test_certain_answers_stay_numbers() -> None:
    assert 0 < target_probability(np.array([1.0]), np.zeros(3)) < 1


def test_the_vote_decides_between_equal_matches() -> None:
    scores = track_scores(np.array([0.6, 0.6, 0.9]), np.array([0.1, 0.5, 0.0]))
    assert scores[0] < scores[1]
    assert scores.max() <= 1
    assert track_scores(np.ones(1), np.ones(1))[0] == pytest.approx(1)
    assert scores[1] == pytest.approx((0.6 + 0.5 * VOTE_WEIGHT) / (1 + VOTE_WEIGHT))
