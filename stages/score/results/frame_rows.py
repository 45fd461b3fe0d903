"""Rows of the score_frames table: one per scored frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.tables import SCORE_FRAMES
from stages.core.media.spans import span_mask
from stages.score.cases import Case, CaseResult, VideoCases


def frame_table(video: VideoCases, results: Sequence[CaseResult]) -> pa.Table:
    """Make the rows of a video, in the order of its cases and their frames."""
    pairs = zip(video.cases, results, strict=True)
    tables = [_case_table(video, case, result) for case, result in pairs]
    return pa.concat_tables(tables) if tables else SCORE_FRAMES.schema.empty_table()


def _case_table(video: VideoCases, case: Case, result: CaseResult) -> pa.Table:
    rows = len(case.frames)
    shared, predicted, true, edge, true_edge, precise, recalled = result.counts.T
    faulty = np.zeros(rows, bool)
    faulty[list(result.faults)] = True
    j, f = frame_scores(result.counts)
    kinds = [result.faults[row].kind if row in result.faults else None for row in range(rows)]
    columns = {
        "video_id": pa.repeat(pa.scalar(case.video_id), rows),
        "expression_id": pa.repeat(pa.scalar(case.expression_id), rows),
        "frame": np.array(case.frames, np.int32),
        "J": np.where(faulty, 0.0, j),
        "F": np.where(faulty, 0.0, f),
        "intersection": shared,
        "union": predicted + true - shared,
        "predicted_area": predicted,
        "true_area": true,
        "predicted_edge": edge,
        "true_edge": true_edge,
        "precise": precise,
        "recalled": recalled,
        "relevant": _relevant(video, case),
        "fault": pa.array(kinds, pa.string()),
    }
    arrays = [
        pa.array(columns[field.name], type=field.type)
        if isinstance(columns[field.name], np.ndarray)
        else columns[field.name]
        for field in SCORE_FRAMES.schema
    ]
    return pa.Table.from_arrays(arrays, schema=SCORE_FRAMES.schema)


def _relevant(video: VideoCases, case: Case) -> pa.Array:
    if case.spans is None:
        return pa.nulls(len(case.frames), pa.bool_())
    inside = span_mask(case.spans, video.num_frames)  # bool (T,)
    return pa.array(inside[list(case.frames)])


def frame_scores(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute J and F of many frames.

    J is 1 if both masks are empty; F is 1 if neither has a boundary, and 0 if only one has.

    Args:
        counts: int64 (F, 7), the fields of Counts.

    Returns:
        J and F, float64 (F,).
    """
    shared, predicted, true, edge, true_edge, precise, recalled = counts.T
    union = predicted + true - shared
    j = np.where(union > 0, shared / np.maximum(union, 1), 1.0)
    precision = precise / np.maximum(edge, 1)
    recall = recalled / np.maximum(true_edge, 1)
    total = precision + recall
    f = np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1.0), 0.0)
    f = np.where((edge > 0) & (true_edge > 0), f, 0.0)
    return j, np.where((edge == 0) & (true_edge == 0), 1.0, f)


def mean(values: np.ndarray) -> float:
    """Compute the exactly rounded mean, the same in every order; NaN if there are no values."""
    return math.fsum(values.tolist()) / len(values) if len(values) else math.nan
