"""The job of one process: a video to score, and what comes back.

What only a worker needs (numba and the loops that it compiles) is loaded where the work is done, so
that the process which hands it out starts without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.score.cases import Fault, VideoCases

MISSING_FRAME = "mask is missing"
UNREADABLE = "mask cannot be read"
WRONG_SIZE = "mask has another size than the ground truth"
UNREADABLE_TRUTH = "ground truth cannot be read"

WORKER_MODULES = (
    "stages.score.scorer",
    "stages.score.masks.png_unfilter",
    "stages.score.masks.rle_runs",
    "stages.score.report.pictures",
)


@dataclass(frozen=True)
class VideoJob:
    """A video and where its predictions are."""

    video: VideoCases
    preds: Path


@dataclass
class CaseResult:
    """Frames of one case.

    Attributes:
        counts: int64 (F, 7), the fields of :class:`Counts` for each scored frame.
        faults: by row of `counts`; such a frame scores 0.
    """

    counts: np.ndarray
    faults: dict[int, Fault]


def score_video(job: VideoJob) -> list[CaseResult]:
    """Count every scored frame of every case; memory holds one frame at a time."""
    from stages.score.scorer import VideoScorer

    return VideoScorer(job).run()
