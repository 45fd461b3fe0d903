"""When each frame of a video is shown, from the time stamps of extract-frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from schemas.parquet import read_table
from schemas.tables import FRAMES

# As build-moments tells a variable rate from the rounding of a container's clock.
_EVEN_SECONDS = 0.002


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
        if not self._path.is_file():
            return {}
        columns = ["video_id", "frame", "name", "pts_seconds"]
        found: dict[str, dict[str, float | None]] = {}
        for row in read_table(self._path, FRAMES, columns=columns).to_pylist():
            found.setdefault(row["video_id"], {})[row["name"]] = row["pts_seconds"]
        return found


def _is_even(times: tuple[float, ...]) -> bool:
    step = (times[-1] - times[0]) / (len(times) - 1)
    return all(
        abs(time - times[0] - step * frame) <= _EVEN_SECONDS for frame, time in enumerate(times)
    )
