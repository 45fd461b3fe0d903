"""Progress over the units (frames, sentences, steps) of many jobs, on one bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from stages.core.engine.progress import Task

_SECONDS = 0.1
"""Between two notes of a worker about its progress."""


class Units(Protocol):
    """The receiver of a running job's progress."""

    def advance(self, units: int) -> None:
        """Report finished units."""

    def expect(self, left: int) -> None:
        """Correct the number of units that are left."""


class SilentUnits:
    """Shows nothing."""

    def advance(self, units: int) -> None:
        """Do nothing."""

    def expect(self, left: int) -> None:
        """Do nothing."""


class UnitBar:
    """The units of all jobs.

    Args:
        task: advances as they do.
        total: units of all jobs, as far as is known.
    """

    def __init__(self, task: Task, total: int):
        self.task = task
        self.total = total

    def job(self, units: int) -> JobUnits:
        """Begin a job that is thought to have some units, which `total` includes."""
        return JobUnits(self, units)


class JobUnits:
    """The units of one running job."""

    def __init__(self, bar: UnitBar, units: int):
        self._bar = bar
        self._units = units
        self._done = 0
        self._corrected = False

    def advance(self, units: int) -> None:
        """Report finished units."""
        self._done += units
        self._bar.task.advance(units)

    def expect(self, left: int) -> None:
        """Correct the number of units that are left."""
        self._bar.total += self._done + left - self._units
        self._units, self._corrected = self._done + left, True
        self._bar.task.expect(self._bar.total)

    def end(self) -> None:
        """End the job: what it did not report is done, or never was if it corrected its units."""
        left = self._units - self._done
        if left < 0 or self._corrected:
            self.expect(0)
        else:
            self._bar.task.advance(left)

    def lose(self, units: int) -> None:
        """Give up the job, which will be done again and is thought to have some units then."""
        self.expect(units)


class SentUnits:
    """Sends the progress of a job to the process that :func:`receive` runs in.

    Args:
        send: a note.
    """

    def __init__(self, send: Callable[[Any], None]):
        self._send = send
        self._waiting = 0
        self._sent = 0.0

    def advance(self, units: int) -> None:
        """Report finished units, a few times per second."""
        self._waiting += units
        if time.monotonic() - self._sent > _SECONDS:
            self.flush()

    def expect(self, left: int) -> None:
        """Correct the number of units that are left."""
        self.flush()
        self._send((None, left))

    def flush(self) -> None:
        """Send what was not sent yet."""
        if self._waiting:
            self._send((self._waiting, None))
        self._waiting, self._sent = 0, time.monotonic()


def receive(note: tuple[int | None, int | None], units: Units) -> None:
    """Take over a note of :class:`SentUnits`."""
    advanced, left = note
    if advanced is not None:
        units.advance(advanced)
    if left is not None:
        units.expect(left)
