"""Moments that the model predicted, from the propagation table beside the masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from schemas.vocabulary import GUIDED
from stages.score.cases import ScoringFault, VideoCases
from stages.score.temporal import (
    TemporalPrediction,
    TemporalScores,
    temporal_scores,
    worst_scores,
)

NO_ROWS = f"no rows in {PROPAGATION_TABLE}"
NOT_A_NUMBER = f"relevance in {PROPAGATION_TABLE} is not a number"
OUTSIDE = f"a frame in {PROPAGATION_TABLE} lies outside the video"

Key = tuple[str, str]


def temporal_of(
    preds: Path, videos: Sequence[VideoCases]
) -> tuple[dict[Key, TemporalScores], list[ScoringFault]]:
    """Compute the temporal scores of the cases with annotated moments; none without a table.

    A frame is predicted as relevant if it took the language path.
    """
    path = preds / PROPAGATION_TABLE
    wanted = [(video, c) for video in videos for c in video.cases if c.spans is not None]
    if not os.path.lexists(path) or not wanted:
        return {}, []
    rows = _read(path)
    scores: dict[Key, TemporalScores] = {}
    faults = []
    for video, case in wanted:
        found = _prediction(rows.get(case.key), video.num_frames)
        if isinstance(found, str):
            faults.append(ScoringFault(found, case.where, frames=0))
            scores[case.key] = worst_scores(bool(case.spans))
        else:
            scores[case.key] = temporal_scores(found, case.spans or ())
    return scores, faults


def _read(path: Path) -> dict[Key, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read frames, whether they are relevant, and relevance (-inf: none) of each expression."""
    names = ["video_id", "expression_id", "frame", "route", "relevance"]
    table = read_table(path, PROPAGATION, columns=names)
    table = table.sort_by([(name, "ascending") for name in names[:3]])
    frames = table.column("frame").to_numpy()
    relevant = np.isin(np.array(table.column("route").to_pylist()), GUIDED)
    relevance = table.column("relevance").fill_null(-np.inf).to_numpy().astype(float)
    keys = list(zip(*(table.column(name).to_pylist() for name in names[:2]), strict=True))
    starts = [i for i in range(len(keys)) if not i or keys[i] != keys[i - 1]]
    ends = [*starts[1:], len(keys)]
    return {
        keys[start]: (frames[start:end], relevant[start:end], relevance[start:end])
        for start, end in zip(starts, ends, strict=True)
    }


def _prediction(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray] | None, num_frames: int
) -> TemporalPrediction | str:
    """Make the prediction over all frames; returns the kind of fault if its rows have one."""
    if rows is None:
        return NO_ROWS
    frames, relevant, relevance = rows
    if np.isnan(relevance).any():
        return NOT_A_NUMBER
    if frames.min() < 0 or frames.max() >= num_frames:
        return OUTSIDE
    all_relevant = np.zeros(num_frames, bool)
    all_relevant[frames] = relevant
    if np.isneginf(relevance).all():
        return TemporalPrediction(all_relevant, None)
    filled = np.full(num_frames, -np.inf)
    filled[frames] = relevance
    return TemporalPrediction(all_relevant, filled)
