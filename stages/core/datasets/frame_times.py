"""Times at which the frames of videos are shown, from the time stamps of extract-frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from schemas.layouts import FRAMES_TABLE
from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.index.index import Video
from stages.core.media.timed_video import end_time

RATE_TOLERANCE_SECONDS = 0.002
"""Time stamps are rounded to the container's time base; 2 ms covers the 1/600 of old files."""


class FrameTimes:
    """Time stamps in a frames table, read at first use.

    Args:
        path: of the table; nothing is known where it is missing.
    """

    def __init__(self, path: Path):
        self._path = path

    def of_video(
        self, video_id: str, names: Sequence[str]
    ) -> tuple[float | None, tuple[float, ...] | None]:
        """(mean frame rate, seconds of each frame if the rate varies), None where unknown.

        Args:
            names: of the frames, as in the table.
        """
        rows = self._rows.get(video_id, {})
        stamps = [seconds for seconds in rows.values() if seconds is not None]
        if len(stamps) < 2 or max(stamps) <= min(stamps):
            return None, None
        rate = (len(stamps) - 1) / (max(stamps) - min(stamps))
        times = varying_times([rows.get(name) for name in names])
        return rate, None if times is None else times[:-1]

    def span(self, video_id: str, names: Sequence[str]) -> tuple[float, float] | None:
        """(time of the first frame, end of the last one) in seconds; None where unknown.

        Args:
            names: of the frames, as in the table.
        """
        rows = self._rows.get(video_id, {})
        known = [time for time in map(rows.get, names) if time is not None]
        if len(known) != len(names) or any(a >= b for a, b in pairwise(known)):
            return None
        return known[0], end_time(known)

    @cached_property
    def _rows(self) -> dict[str, dict[str, float | None]]:
        """Seconds by frame name, by video."""
        if not os.path.lexists(self._path):
            return {}
        columns = ["video_id", "frame", "name", "pts_seconds"]
        rows: dict[str, dict[str, float | None]] = {}
        for row in read_table(self._path, FRAMES, columns=columns).to_pylist():
            rows.setdefault(row["video_id"], {})[row["name"]] = row["pts_seconds"]
        return rows


class IndexTimes:
    """Times of the frames of an index's videos, whose tables are read at first use.

    Args:
        fps: frame rate of videos of which neither rate nor times are known; 0 leaves it unknown.
    """

    def __init__(self, fps: float = 0.0):
        self._fps = fps
        self._tables: dict[Path, FrameTimes] = {}

    def varying(self, video: Video) -> tuple[float, ...] | None:
        """Seconds of each frame, then of the end, where the rate varies; else None."""
        if video.fps is not None:
            return None
        path = video.frames_dir.parent.parent / FRAMES_TABLE
        table = self._tables.setdefault(path, FrameTimes(path))
        times = table.of_video(video.video_id, video.frame_names)[1]
        return None if times is None else (*times, end_time(times))

    def length(self, video: Video, start: int, end: int) -> float | None:
        """Seconds that the frames [start, end) are shown; None where it is not known."""
        times = self.varying(video)
        if times is not None:
            return times[end] - times[start]
        rate = video.fps or self._fps
        return (end - start) / rate if rate else None


def varying_times(seconds: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return the times of frames and of their end where the rate varies; None for any others.

    Args:
        seconds: of each frame; None where it is not known.
    """
    times = tuple(second for second in seconds if second is not None)
    increasing = all(first < second for first, second in pairwise(times))
    if len(times) < max(2, len(seconds)) or not increasing or _is_even(times):
        return None
    return (*times, end_time(times))


def _is_even(times: Sequence[float]) -> bool:
    step = (times[-1] - times[0]) / (len(times) - 1)
    return all(
        abs(time - times[0] - step * frame) <= RATE_TOLERANCE_SECONDS
        for frame, time in enumerate(times)
    )
