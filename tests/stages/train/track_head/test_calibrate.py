"""The threshold for sentences without a target."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.model.config import TrackThresholds
from stages.train.track_head.calibrate import KEPT_TARGETS, Judged, calibrate, empty_rates


def judged(*rows: tuple[float, bool]) -> Judged:
    return Judged(np.array([p for p, _ in rows]), np.array([has for _, has in rows], bool))


def test_the_threshold_lies_between_sentences_with_and_without_target() -> None:
    rows = judged((0.9, True), (0.3, False), (0.7, True))
    found = calibrate(rows)
    assert 0.3 < found.no_target <= 0.7
    assert empty_rates(rows, found.no_target) == {"T-acc": 1.0, "N-acc": 1.0}


def test_a_data_set_without_such_sentences_always_has_masks() -> None:
    assert calibrate(judged((0.2, True), (0.4, True))).no_target == 0


def test_nothing_to_learn_from_leaves_the_default() -> None:
    assert calibrate(judged()) == TrackThresholds()
    assert calibrate(judged((0.4, False))) == TrackThresholds()
    assert empty_rates(judged(), 0.5) == {}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_promised_share_of_targets_is_kept(rows: list[tuple[float, bool]]) -> None:
    if any(target for _, target in rows):
        threshold = calibrate(judged(*rows)).no_target
        assert empty_rates(judged(*rows), threshold)["T-acc"] >= KEPT_TARGETS
