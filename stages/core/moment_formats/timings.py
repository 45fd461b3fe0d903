"""When the frames of an index are shown, for moments in seconds."""

from __future__ import annotations

from stages.core.datasets.frame_times import IndexTimes
from stages.core.index.index import Index
from stages.core.moment_formats.context import MomentContext, Timing


def index_context(index: Index, fps: float = 0.0, **rounding: str) -> MomentContext:
    """The videos and sentences of an index, with the times of variable frame rates.

    Args:
        fps: frame rate of videos of which neither rate nor times are known; 0 leaves it unknown.
        rounding: see ``MomentContext``.
    """
    times = IndexTimes()
    timings = {}
    for video in index.videos.values():
        varying = times.varying(video)
        rate = video.fps or (fps if fps and varying is None else None)
        timings[video.video_id] = Timing(video.num_frames, rate, video.height, video.width, varying)
    return MomentContext(tuple(index.expressions), timings, **rounding)
