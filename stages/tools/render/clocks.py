"""When each frame of a video is shown, from the time stamps of extract-frames or of a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.media.timed_video import TICKS_PER_SECOND

# As build-moments tells a variable rate from the rounding of a container's clock.
_EVEN_SECONDS = 0.002
# Two times at least so far apart are not rounded to one.
_SHORTEST_STEP = 2 / TICKS_PER_SECOND


class Clocks:
    """Time stamps of the videos of a frames table, read at first use.

    Args:
        path: of the table; without it nothing is known.
    """

    def __init__(self, path: Path):
        self._path = path

    def of(
        self, video_id: str, names: Sequence[str]
    ) -> tuple[float | None, tuple[float, ...] | None]:
        """(mean frames a second, seconds of each frame if the rate varies); None where unknown.

        Args:
            names: of the frames, which must be those of the table.
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

    @cached_property
    def _rows(self) -> dict[str, dict[str, float | None]]:
        """Seconds by frame name, by video."""
        if not os.path.lexists(self._path):
            return {}
        columns = ["video_id", "frame", "name", "pts_seconds"]
        found: dict[str, dict[str, float | None]] = {}
        for row in read_table(self._path, FRAMES, columns=columns).to_pylist():
            found.setdefault(row["video_id"], {})[row["name"]] = row["pts_seconds"]
        return found


def stream_times(
    stamps: Iterable[float | None], step: float, warn: Callable[[str], None]
) -> Iterator[float]:
    """Give the seconds at which each frame of a stream is shown, and at last those of its end.

    They are the frames' own, as long as they increase. A frame whose time is missing or not later
    than the one before it follows after the last step; so does the end.

    Args:
        stamps: time of each frame, taken one after another.
        step: seconds from the first frame to the second, should the second have no time.
        warn: called at the first frame that does not keep its time.
    """
    now, earliest, warned = -step, 0.0, False
    for frame, stamp in enumerate(stamps):
        if stamp is None or stamp < earliest:
            if not warned:
                warn(
                    f"frame {frame} has no time stamp after that of the frame before it; "
                    "such frames keep the distance of the two frames before them"
                )
                warned = True
            stamp = now + step
        elif frame:
            step = stamp - now
        now, earliest = stamp, stamp + _SHORTEST_STEP
        yield now
    yield now + step


def _is_even(times: tuple[float, ...]) -> bool:
    step = (times[-1] - times[0]) / (len(times) - 1)
    return all(
        abs(time - times[0] - step * frame) <= _EVEN_SECONDS for frame, time in enumerate(times)
    )
