"""The time that validations take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTICED = 0.1
"""Share of the time beyond which the user is told how to validate less."""


class ValidationTime:
    """Measures validations.

    Args:
        now: seconds of a clock that only goes forward.

    Attributes:
        seconds: of the last validation.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._began = now()
        self._all = self.seconds = 0.0

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """A context for one validation."""
        started = self._now()
        yield
        self.seconds = self._now() - started
        self._all += self.seconds

    @property
    def share(self) -> float | None:
        """Share of the time since the start; None before the first validation."""
        passed = self._now() - self._began
        return self._all / passed if self._all > 0 and passed > 0 else None

    def summary(self, every: int, steps: int) -> str | None:
        """What to say at the end of a training; None without validations.

        Args:
            every: steps from one validation to the next.
            steps: of the training.
        """
        share = self.share
        if share is None:
            return None
        line = f"validation took {share:.1%} of the time"
        if share <= NOTICED:
            return line
        if every >= steps:  # the one at the end is all there was
            return f"{line}: lower --valid-expressions or --valid-frames"
        return f"{line}: raise --valid-every ({every} here), or lower --valid-expressions"
