"""Agreement of moments by hand-made examples."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tools.select_moments.agreement import frame_iou, frame_precision, span_iou


def test_the_best_span_meets_the_annotated_span_that_it_fits() -> None:
    spans = [((0, 4), 0.2), ((10, 14), 0.9)]
    assert span_iou(spans, [(0, 4), (12, 16)]) == pytest.approx(2 / 6)
    assert span_iou(spans, [(0, 4)]) == 0
    assert span_iou([], [(0, 4)]) == 0


def test_frames_of_all_spans() -> None:
    assert frame_iou([((0, 4), 1.0), ((6, 8), 1.0)], [(2, 7)], 9) == pytest.approx(3 / 8)
    assert frame_iou([], [(2, 7)], 9) == 0


@pytest.mark.parametrize(
    ("scores", "relevant", "expected"),
    [
        ([0.9, 0.8, 0.1], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.1], [0, 1, 0], 1 / 2),
        ([0.9, 0.8, 0.1], [1, 0, 1], (1 + 2 / 3) / 2),
        ([0.5, 0.5, 0.5], [1, 0, 0], 1 / 3),  # no order among equals
        ([0.9, 0.5, 0.5], [0, 1, 1], 2 / 3),
    ],
)
def test_average_precision(scores: list, relevant: list, expected: float) -> None:
    found = frame_precision(np.array(scores), np.array(relevant, bool))
    assert found == pytest.approx(expected)
