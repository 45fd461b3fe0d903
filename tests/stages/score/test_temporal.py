"""Temporal measures, against tables worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import CorruptInput
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import PROPAGATION, SCORES
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE
from stages.score.temporal import (
    THRESHOLDS,
    TemporalPrediction,
    average_precision,
    presence_tiou,
    span_tiou,
    temporal_scores,
)


def frames(*spans: tuple[int, int], total: int = 20) -> np.ndarray:
    """Bool (T,) that is true in the spans."""
    present = np.zeros(total, bool)
    for start, end in spans:
        present[start:end] = True
    return present


def test_two_kinds_of_temporal_iou():
    assert span_tiou((0, 10), (5, 15)) == 5 / 15
    assert span_tiou((0, 5), (5, 9)) == 0
    assert presence_tiou(frames((0, 4), (8, 10)), frames((2, 9))) == 3 / 10
    assert presence_tiou(frames(), frames()) == 1
    assert presence_tiou(frames((0, 1)), frames()) == 0


def test_rank_one_is_the_most_relevant_span():
    relevance = np.full(20, 0.1)
    relevance[2:6], relevance[10:20] = 0.9, 0.6
    prediction = TemporalPrediction(frames((2, 6), (10, 20)), relevance)
    found = temporal_scores(prediction, [(3, 7), (10, 20)])
    assert found.span_tiou == 3 / 5
    assert found.key_frame is False  # the first frame of highest relevance is 2
    assert found.presence_tiou == 13 / 15
    without = temporal_scores(TemporalPrediction(prediction.relevant, None), [(10, 20)])
    assert without.span_tiou == 0
    assert without.key_frame is None


def test_nothing_predicted_and_nothing_true():
    nothing = TemporalPrediction(frames(), None)
    assert temporal_scores(nothing, []).presence_tiou == 1
    assert temporal_scores(nothing, []).span_tiou is None
    missed = temporal_scores(nothing, [(0, 5)])
    assert (missed.span_tiou, missed.presence_tiou) == (0, 0)
    assert missed.precision == (0,) * len(THRESHOLDS)
    assert temporal_scores(TemporalPrediction(frames((0, 3)), None), []).presence_tiou == 0


def test_average_precision_by_hand():
    targets = [(0, 10), (20, 30)]
    assert average_precision([(0, 10), (20, 30)], targets, 0.9) == 1
    assert average_precision([(0, 10)], targets, 0.9) == 0.5
    assert average_precision([(40, 50), (0, 10)], targets, 0.5) == 0.25
    # The second span of the same target is a false alarm, the third finds the other target.
    assert average_precision([(0, 10), (1, 10), (20, 30)], targets, 0.5) == pytest.approx(
        (1 + 2 / 3) / 2
    )
    assert average_precision([(0, 7)], targets, 0.7) == 0.5
    assert average_precision([(0, 7)], targets, 0.71) == 0
    assert average_precision([], targets, 0.5) == 0


@settings(max_examples=60, deadline=None)
@given(
    present=st.lists(st.booleans(), min_size=12, max_size=12),
    spans=st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), max_size=4),
)
def test_a_perfect_prediction_is_perfect_and_all_lie_between_0_and_1(present, spans):
    spans = [(start, min(12, start + length)) for start, length in spans]
    true = frames(*spans, total=12)
    perfect = temporal_scores(TemporalPrediction(true, true.astype(float)), spans)
    assert perfect.presence_tiou == 1
    if spans:
        assert (perfect.span_tiou, set(perfect.precision), perfect.key_frame) == (1, {1}, True)
    other = temporal_scores(TemporalPrediction(np.array(present), None), spans)
    assert 0 <= other.presence_tiou <= 1
    assert other.span_tiou is None or 0 <= other.span_tiou <= 1
    assert other.precision is None or all(0 <= p <= 1 for p in other.precision)


def propagation(mevis, *, relevance: float | None = 0.5) -> list[dict]:
    """Rows in which a/0 is guided in frames 1-4 and everything else nowhere."""
    return [
        {
            "video_id": video,
            "expression_id": expression,
            "frame": frame,
            "route": "language"
            if (video, expression) == ("a", "0") and 1 <= frame < 5
            else "empty",
            "relevance": relevance if frame != 2 else None if relevance is None else 0.9,
            "object_score": None,
            "mask_area": 0,
        }
        for video, entry in mevis.meta["videos"].items()
        for expression in entry["expressions"]
        for frame in range(len(entry["frames"]))
    ]


def test_the_propagation_table_is_measured_against_the_moments(
    mevis, predictions, run_stage, tmp_path
):
    split = mevis.write()
    write_table(
        predictions.root / "propagation.parquet",
        rows_of(propagation(mevis), PROPAGATION),
        PROPAGATION,
    )
    inputs = ScoreInputs(predictions.root, split)
    out = run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out").path
    rows = {
        (row["video_id"], row["expression_id"]): row
        for row in read_table(out / "scores.parquet", SCORES).to_pylist()
    }
    first = rows["a", "0"]  # true in frames 1 and 2
    assert (first["span_tiou"], first["presence_tiou"], first["key_frame_hit"]) == (0.5, 0.5, True)
    assert first["average_precision"] == pytest.approx(0.1)  # found at 0.5 alone
    assert rows["a", "2"]["presence_tiou"] == 1  # nothing there, nothing said
    assert rows["a", "2"]["span_tiou"] is None
    temporal = json.loads((out / "summary.json").read_text())["temporal"]
    assert temporal["expressions"] == 4
    assert temporal["span_tiou"] == pytest.approx(0.5 / 3)
    assert temporal["R1@0.3"] == temporal["R1@0.5"] == pytest.approx(1 / 3)
    assert temporal["R1@0.7"] == 0
    assert temporal["key_frame_top1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("fault", ["rows", "not a number", "outside"])
def test_faults_of_the_propagation_table(mevis, predictions, run_stage, tmp_path, fault):
    rows = propagation(mevis)
    if fault == "rows":
        rows = [row for row in rows if row["expression_id"] != "1"]
    elif fault == "not a number":
        rows[0]["relevance"] = math.nan
    else:
        rows[0]["frame"] = 99
    write_table(predictions.root / "propagation.parquet", rows_of(rows, PROPAGATION), PROPAGATION)
    inputs = ScoreInputs(predictions.root, mevis.write())
    with pytest.raises(CorruptInput, match=fault):
        run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out")
    run_stage(STAGE, ScoreConfig(missing="zero"), inputs, tmp_path / "out")
