"""Thresholds of the track head."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.model.config import TrackThresholds
from stages.train.track_head.calibrate import KEPT_TARGETS, Judged, calibrate, empty_rates


def judged(match: list[list[float]], truth: list[list[int]]) -> Judged:
    known = np.array(truth, bool)
    return Judged(np.array(match, np.float32), known, known.any(axis=1))


def test_the_threshold_lies_between_sentences_with_and_without_target() -> None:
    videos = [judged([[0.9, 0.1], [0.2, 0.3]], [[1, 0], [0, 0]]) for _ in range(10)]
    found = calibrate(videos)
    assert 0.3 < found.no_target <= 0.9
    assert empty_rates(videos, found.no_target) == {"T-acc": 1.0, "N-acc": 1.0}


def test_a_data_set_without_such_sentences_always_has_masks() -> None:
    assert calibrate([judged([[0.2, 0.1]], [[1, 0]])]).no_target == 0


def test_several_referents_are_chosen_together() -> None:
    videos = [judged([[0.9, 0.62, 0.2]], [[1, 1, 0]]), judged([[0.8, 0.3, 0.1]], [[1, 0, 0]])]
    assert 0.3 < calibrate(videos).match <= 0.62


def test_a_target_that_no_track_shows_counts_as_lost() -> None:
    lost = Judged(np.zeros((1, 0), np.float32), np.zeros((1, 0), bool), np.array([True]))
    assert empty_rates([lost], 0.5) == {"T-acc": 0.0}


def test_nothing_to_learn_from_leaves_the_defaults() -> None:
    assert calibrate([]) == TrackThresholds()
    assert calibrate([judged([[0.4]], [[0]])]) == TrackThresholds()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_the_promised_share_of_targets_is_kept(rows: list[tuple[float, bool]]) -> None:
    videos = [judged([[score]], [[int(target)]]) for score, target in rows]
    if any(target for _, target in rows):
        assert empty_rates(videos, calibrate(videos).no_target)["T-acc"] >= KEPT_TARGETS
