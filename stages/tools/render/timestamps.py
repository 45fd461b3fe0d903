"""Times at which frames are shown, from the time stamps of extract-frames or of a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.media.timed_video import TICKS_PER_SECOND, end_time

# build-moments tells a variable rate from the rounding of time stamps by the same tolerance.
_EVEN_SECONDS = 0.002
# Times this far apart are not rounded to the same tick.
_SHORTEST_STEP = 2 / TICKS_PER_SECOND


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
        times = [rows.get(name) for name in names]
        known = tuple(time for time in times if time is not None)
        increasing = all(first < second for first, second in pairwise(known))
        if len(known) != len(names) or not increasing or _is_even(known):
            return rate, None
        return rate, known

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


class StreamTimes:
    """Times at which the frames of a stream are shown, in seconds.

    Time stamps are used as long as they increase. Where one is missing or not later than the one
    before, the last interval is repeated, as it is for the end.

    Args:
        step: seconds between the first two frames if the second has no time stamp.
        warn: called at the first frame whose time stamp is not used.
    """

    def __init__(self, step: float, warn: Callable[[str], None]):
        self._step = step
        self._now = -step
        self._earliest = 0.0
        self._frame = 0
        self._warn: Callable[[str], None] | None = warn

    def add(self, stamp: float | None) -> float:
        """The time of the next frame, given its time stamp."""
        if stamp is None or stamp < self._earliest:
            if self._warn is not None:
                self._warn(
                    f"frame {self._frame} has no time stamp, or none later than the frame before; "
                    "such frames repeat the interval between the two before them"
                )
                self._warn = None
            stamp = self.end
        elif self._frame:
            self._step = stamp - self._now
        self._frame += 1
        self._now, self._earliest = stamp, stamp + _SHORTEST_STEP
        return stamp

    @property
    def end(self) -> float:
        """The time at which the stream ends if no frame follows."""
        return self._now + self._step


def _is_even(times: tuple[float, ...]) -> bool:
    step = (times[-1] - times[0]) / (len(times) - 1)
    return all(
        abs(time - times[0] - step * frame) <= _EVEN_SECONDS for frame, time in enumerate(times)
    )
