"""The job of one process: a video to score, and what comes back.

What only a worker needs (numba and the loops that it compiles) is loaded where the work is done, so
that the process which hands it out starts without.
"""

from __future__ import annotations

from stages.score.cases import CaseResult, VideoJob

WORKER_MODULES = (
    "stages.score.scorer",
    "stages.score.masks.png_unfilter",
    "stages.score.masks.rle_runs",
    "stages.score.report.pictures",
)


def score_video(job: VideoJob) -> list[CaseResult]:
    """Count every scored frame of every case; memory holds one frame at a time."""
    from stages.score.scorer import VideoScorer

    return VideoScorer(job).run()
