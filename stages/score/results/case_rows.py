"""Rows of the scores table: one per case, from its frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from stages.score.cases import Case, VideoCases
from stages.score.results.frame_rows import mean
from stages.score.temporal import TemporalScores

_RECALL = 0.5  # recall is the share of frames above it
_BINS = 4  # decay compares the first and last quarter


def case_rows(
    video: VideoCases, frames: pa.Table, temporal: Mapping[tuple[str, str], TemporalScores]
) -> Iterable[dict[str, Any]]:
    """Yield the rows of a video's cases, in order.

    Args:
        frames: rows of the video in the score_frames table.
    """
    columns = {
        name: frames.column(name).to_numpy(zero_copy_only=False)
        for name in ("J", "F", "predicted_area", "relevant")
    }
    faulty = frames.column("fault").is_valid().to_numpy()
    start = 0
    for case in video.cases:
        part = slice(start, start + len(case.frames))
        start = part.stop
        row = _case_row(
            case, {name: values[part] for name, values in columns.items()}, faulty[part]
        )
        if case.key in temporal:
            row |= _temporal_columns(temporal[case.key])
        yield row


def _case_row(case: Case, columns: dict[str, np.ndarray], faulty: np.ndarray) -> dict[str, Any]:
    j, f = columns["J"], columns["F"]
    row: dict[str, Any] = {
        "video_id": case.video_id,
        "expression_id": case.expression_id,
        "expression": case.text or None,
        "J": mean(j),
        "F": mean(f),
        "JF": (mean(j) + mean(f)) / 2,
        "frames": len(j),
        "referents": len(case.tracks),
        "predicted_frames": int((columns["predicted_area"] > 0).sum()),
        "fault_frames": int(faulty.sum()),
    }
    for name, values in (("J", j), ("F", f)):
        row[f"{name}_recall"] = mean((values > _RECALL).astype(float))
        row[f"{name}_decay"] = decay(values)
    if case.spans:
        relevant = columns["relevant"].astype(bool)
        row["relevant_frames"] = int(relevant.sum())
        for part, chosen in (("relevant", relevant), ("irrelevant", ~relevant)):
            for name, values in (("J", j), ("F", f)):
                row[f"{name}_{part}"] = mean(values[chosen]) if chosen.any() else None
    return row


def _temporal_columns(scores: TemporalScores) -> dict[str, Any]:
    precision = scores.precision
    return {
        "presence_tiou": scores.presence_tiou,
        "span_tiou": scores.span_tiou,
        "average_precision": None if precision is None else mean(np.array(precision)),
        "key_frame_hit": scores.key_frame,
    }


def decay(values: np.ndarray) -> float:
    """Compute the mean of the first quarter of the frames less that of the last, as DAVIS does.

    The quarters share their end frames. DAVIS's code stores the cuts as 8-bit numbers, which wrap
    around behind frame 255; here they do not.
    """
    cuts = np.round(np.linspace(1, len(values), _BINS + 1) + 1e-10).astype(int) - 1
    first, last = values[: cuts[1] + 1], values[cuts[-2] : cuts[-1] + 1]
    return mean(first) - mean(last) if len(values) else math.nan
