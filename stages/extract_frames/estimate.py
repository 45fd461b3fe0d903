"""An estimate of the total number of frames, which improves as videos are opened.

It costs no ffmpeg call of its own: the call that decodes a video reports its header.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from stages.extract_frames.config import ExtractConfig


class FrameEstimate:
    """Frames of all videos together, extrapolated by bytes from the videos that are known."""

    def __init__(self, videos: Sequence[Path]):
        self._bytes = {video: max(1, video.stat().st_size) for video in videos}
        self._frames: dict[Path, int] = {}
        self._lock = Lock()

    def learn(self, video: Path, frames: int) -> int:
        """Record the number of frames of `video`; returns the estimate for all videos."""
        with self._lock:
            self._frames[video] = frames
            known = sum(self._bytes[path] for path in self._frames)
            return round(sum(self._frames.values()) * sum(self._bytes.values()) / known)


def frames_of_header(seconds: float, rate: float, config: ExtractConfig) -> int:
    """Estimate the number of frames to extract from a video.

    Args:
        seconds: its duration.
        rate: its frames per second.
    """
    end = min(seconds, config.end) if config.end else seconds
    taken = max(0.0, end - config.start)
    return max(1, round(taken * (config.fps or rate) / config.stride))
