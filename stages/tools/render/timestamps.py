"""Times at which the frames of a stream are shown."""

from __future__ import annotations

from collections.abc import Callable

from stages.core.media.timed_video import TICKS_PER_SECOND

# Times this far apart are not rounded to the same tick.
_SHORTEST_STEP = 2 / TICKS_PER_SECOND


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
