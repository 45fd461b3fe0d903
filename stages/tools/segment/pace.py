"""Progress that notices a long run by its first frames, and says once what makes it shorter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from stages.core.engine.progress import Progress, Task
from stages.core.model.loading.catalog import CPU_TRACKER
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.pipeline import Pipeline

TASKS = ("ground", "track", "select-moments")
"""Tasks of the stages that run a network."""
SMALL_SIDE = 512
"""A quarter of the arithmetic of 1024 pixels."""
FEWER_FRAMES = 4
FEW_TRACKS = 6
LONG_SECONDS = 600.0
"""A run that takes longer is worth a word."""
_FEWEST_SECONDS = 3.0
_FEWEST_UNITS = 2
"""What a task must have done before its rate is believed: its first steps warm up."""
_MINUTE = 60.0
_HOUR_MINUTES = 60
_LONG_MINUTES = 90


@dataclass
class PacedProgress:
    """Passes everything on to another progress, and measures the tasks that take long.

    Attributes:
        inner: shows the bars and lines.
        tasks: names of the tasks to measure.
        advice: what would make the run shorter; without any, nothing is said.
        clock: seconds.
    """

    inner: Progress
    tasks: Sequence[str]
    advice: Sequence[str]
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    _told: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        """See ``Progress``."""
        with self.inner.task(name, total, unit) as task:
            measured = name in self.tasks and total is not None
            yield _PacedTask(task, self, total, self.clock()) if measured else task

    def warn(self, message: str) -> None:
        """See ``Progress``."""
        self.inner.warn(message)

    def note(self, message: str) -> None:
        """See ``Progress``."""
        self.inner.note(message)

    def expect(self, seconds: float) -> None:
        """Take an estimate of the time that is left; say it if the whole run is long."""
        whole = self.clock() - self._started + seconds
        if self._told or whole < LONG_SECONDS or not self.advice:
            return
        self._told = True
        self.note(f"about {_duration(whole)} in all; faster: {', '.join(self.advice)}")


def paced(pipeline: Pipeline, config: SegmentConfig, *, sentences: bool) -> Pipeline:
    """The same pipeline, which measures its first frames.

    Args:
        sentences: objects are found, not prompted by hand.
    """
    advice = []
    if not 0 < config.image_size <= SMALL_SIDE:
        advice.append(f"--image-size {SMALL_SIDE}")
    if config.every < FEWER_FRAMES:
        advice.append(f"--every {FEWER_FRAMES}")
    if config.max_tracks > FEW_TRACKS and sentences:
        advice.append(f"--max-tracks {FEW_TRACKS}")
    if config.tracker not in (None, CPU_TRACKER):
        advice.append(f"--tracker {CPU_TRACKER}")
    return replace(pipeline, progress=PacedProgress(pipeline.progress, TASKS, advice))


class _PacedTask:
    """A task whose first units tell how long the others take."""

    def __init__(self, inner: Task, paced: PacedProgress, total: int | None, started: float):
        self._inner = inner
        self._paced = paced
        self._total = total
        self._started = started
        self._done = 0
        self._first: tuple[int, float] | None = None

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """See ``Task``."""
        self._inner.advance(n, **figures)
        self._done += n
        now = self._paced.clock()
        if self._first is None:  # what came before it is loading, and is not repeated
            self._first = self._done, now
            return
        units, seconds = self._done - self._first[0], now - self._first[1]
        if self._total is not None and units >= _FEWEST_UNITS and seconds >= _FEWEST_SECONDS:
            self._paced.expect((self._total - self._done) * seconds / units)

    def expect(self, total: int) -> None:
        """See ``Task``."""
        self._inner.expect(total)
        self._total = total


def _duration(seconds: float) -> str:
    """A duration rounded to minutes or hours."""
    minutes = round(seconds / _MINUTE)
    if minutes < _LONG_MINUTES:
        return f"{minutes} min"
    return f"{minutes / _HOUR_MINUTES:.1f} h"
