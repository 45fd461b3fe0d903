"""The job of one process: a video to score, and its results.

Modules that only a worker needs (numba and the loops that it compiles) are imported in the job, so
that the process which hands out the jobs starts without them.
"""

from __future__ import annotations

from stages.score.cases import CaseResult, VideoJob

WORKER_MODULES = (
    "stages.score.scorer",
    "stages.score.masks.png_unfilter",
    "stages.score.masks.rle_runs",
    "stages.score.report.thumbnails",
)


def score_video(job: VideoJob) -> list[CaseResult]:
    """Count every scored frame of every case; memory is bounded by one frame."""
    from stages.score.scorer import VideoScorer

    return VideoScorer(job).run()
