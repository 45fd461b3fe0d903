"""Moments that the model predicted: the propagation table beside the masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from schemas.vocabulary import LANGUAGE
from stages.score.cases import Case, Fault, VideoCases
from stages.score.temporal import Prediction, TemporalScores, nothing_right, temporal_scores

NO_ROWS = f"no rows in {PROPAGATION_TABLE}"
NOT_A_NUMBER = f"relevance in {PROPAGATION_TABLE} is not a number"
OUTSIDE = f"a frame in {PROPAGATION_TABLE} lies outside the video"

Key = tuple[str, str]


def temporal_of(
    preds: Path, videos: Sequence[VideoCases]
) -> tuple[dict[Key, TemporalScores], list[Fault]]:
    """Temporal scores of the cases that have annotated moments; empty without a table.

    A frame counts as predicted present where it took the language-guided route.
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
            faults.append(Fault(found, _where(case), frames=0))
            scores[case.key] = nothing_right(bool(case.spans))
        else:
            scores[case.key] = temporal_scores(found, case.spans or ())
    return scores, faults


def _read(path: Path) -> dict[Key, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Frames, guided or not, and relevance (NaN: none) of each expression."""
    names = ["video_id", "expression_id", "frame", "route", "relevance"]
    table = read_table(path, PROPAGATION, columns=names)
    table = table.sort_by([(name, "ascending") for name in names[:3]])
    frames = table.column("frame").to_numpy()
    guided = np.array(table.column("route").to_pylist()) == LANGUAGE
    relevance = table.column("relevance").fill_null(-np.inf).to_numpy().astype(float)
    keys = list(zip(*(table.column(name).to_pylist() for name in names[:2]), strict=True))
    starts = [i for i in range(len(keys)) if not i or keys[i] != keys[i - 1]]
    ends = [*starts[1:], len(keys)]
    return {
        keys[start]: (frames[start:end], guided[start:end], relevance[start:end])
        for start, end in zip(starts, ends, strict=True)
    }


def _prediction(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray] | None, num_frames: int
) -> Prediction | str:
    """The prediction over all frames, or the kind of fault that its rows have."""
    if rows is None:
        return NO_ROWS
    frames, guided, relevance = rows
    if np.isnan(relevance).any():
        return NOT_A_NUMBER
    if frames.min() < 0 or frames.max() >= num_frames:
        return OUTSIDE
    present = np.zeros(num_frames, bool)
    present[frames] = guided
    if np.isneginf(relevance).all():
        return Prediction(present, None)
    filled = np.full(num_frames, -np.inf)
    filled[frames] = relevance
    return Prediction(present, filled)


def _where(case: Case) -> str:
    return f"video {case.video_id}, expression {case.expression_id}"
