"""How many frames will come: an estimate for the time left, that grows better as videos are opened.

It costs no call of ffmpeg: each video's header is told by the call that decodes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from stages.extract_frames.config import ExtractConfig


class FrameEstimate:
    """Frames of all videos together, from those that are known; the others go by their bytes."""

    def __init__(self, videos: Sequence[Path]):
        self._bytes = {video: max(1, video.stat().st_size) for video in videos}
        self._frames: dict[Path, int] = {}
        self._lock = Lock()

    def learn(self, video: Path, frames: int) -> int:
        """Take in what `video` gives; returns about how many frames all will give."""
        with self._lock:
            self._frames[video] = frames
            known = sum(self._bytes[path] for path in self._frames)
            return round(sum(self._frames.values()) * sum(self._bytes.values()) / known)


def frames_of_header(seconds: float, rate: float, config: ExtractConfig) -> int:
    """About how many pictures a video gives.

    Args:
        seconds: its length.
        rate: its frames a second.
    """
    end = min(seconds, config.end) if config.end else seconds
    taken = max(0.0, end - config.start)
    return max(1, round(taken * (config.fps or rate) / config.stride))
