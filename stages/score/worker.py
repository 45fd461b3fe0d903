"""The job of one process: a video to score, and its results.

Modules that only a worker needs (LLVM and the machine code of the inner loops) are imported in the
job, so that the process which hands out the jobs starts without them.
"""

from __future__ import annotations

from stages.score.cases import CaseResult, VideoJob

WORKER_MODULES = ("stages.score.scorer",)
REPORT_MODULES = ("stages.score.report.thumbnails",)
"""With a report workers also draw."""


def score_video(job: VideoJob) -> list[CaseResult]:
    """Count every scored frame of every case; memory is bounded by one frame."""
    from stages.score.scorer import VideoScorer

    return VideoScorer(job).run()
