"""Times of a training: of its steps, of saves, and of waiting for data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

SAVE_SHARE = 0.05
"""Share of the time that may go into saving the state; it does not change the result."""
NOTICED_WAIT = 0.1
"""Share of the time spent waiting for data, beyond which the user is told."""
_FEWEST_STEPS = 20
"""That say something about waiting: the first one waits for the workers to start."""

Item = TypeVar("Item")


class Clock:
    """Measures steps, saves and waits.

    Args:
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._lap = self._saved = now()
        self._save_seconds = 0.0
        self._waited = 0.0
        self._laps: list[tuple[float, float]] = []

    def lap(self) -> tuple[float, float]:
        """Seconds since the last call, and the share of them that was spent waiting."""
        before, self._lap = self._lap, self._now()
        seconds, waited = self._lap - before, self._waited
        self._waited = 0.0
        self._laps.append((seconds, waited))
        return seconds, min(1.0, waited / seconds) if seconds > 0 else 0.0

    def leave_out(self, seconds: float) -> None:
        """Count time that has passed since the last lap as no step's, such as a validation's."""
        self._lap += seconds

    def waiting(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items; the time until each comes counts as waiting."""
        while True:
            started = self._now()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waited += self._now() - started
            yield item

    @property
    def waited(self) -> float | None:
        """Share of the time waited in all steps but the first; None after too few steps."""
        laps = self._laps[1:]
        if len(laps) < _FEWEST_STEPS:
            return None
        seconds = sum(lap for lap, _ in laps)
        return sum(wait for _, wait in laps) / seconds if seconds > 0 else 0.0

    def save_is_due(self) -> bool:
        """Return whether a save as long as the last one stays within its share of the time."""
        return (self._now() - self._saved) * SAVE_SHARE >= self._save_seconds

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure the time of a save."""
        started = self._now()
        yield
        self._saved = self._now()
        self._save_seconds = self._saved - started


def waiting_advice(waited: float | None, workers: int, cores: int, *, cached: bool) -> str | None:
    """A line about a training that waited for data, with what to change; None if it hardly did.

    Args:
        waited: share of the time.
        workers: that loaded the batches of this process.
        cores: that this process may use for them.
        cached: whether features were cached.
    """
    if waited is None or waited <= NOTICED_WAIT:
        return None
    advice: Sequence[str] = [
        *([f"use more --workers (up to {cores} here)"] if workers < cores else []),
        *([] if cached else ["cache features with --cache-features"]),
        "share frames among sentences with --sentences-per-clip",
        "keep frames on a faster disk, or extract them smaller",
    ]
    return f"the network waited for data {waited:.0%} of the time: {', '.join(advice)}"
