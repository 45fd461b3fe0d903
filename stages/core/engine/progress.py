"""The progress protocol: a stage reports, the command line draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Task(Protocol):
    """A progress bar."""

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Advance by `n` units, and show `figures` (loss, J, ...) beside the bar."""

    def expect(self, total: int) -> None:
        """Set the total number of units, or a better estimate of it."""


class Progress(Protocol):
    """The receiver of a stage's reports."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]:
        """A context with a bar over `total` units (None if unknown)."""

    def warn(self, message: str) -> None:
        """Show a line that the user should read although the run goes on."""

    def note(self, message: str) -> None:
        """Show a line about what the run does next; not shown with --quiet."""


def counted(results: Iterable[T], total: int, task: Task, noun: str = "video") -> Iterator[T]:
    """Yield the results of jobs, and show beside the bar which of them is worked on.

    Args:
        total: number of jobs; of a single one nothing is shown.
    """
    if total > 1:
        task.advance(0, **{noun: f"1/{total}"})
    for done, result in enumerate(results, start=1):
        yield result
        if done < total:
            task.advance(0, **{noun: f"{done + 1}/{total}"})


class SilentTask:
    """Shows nothing."""

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Do nothing."""

    def expect(self, total: int) -> None:
        """Do nothing."""


class SilentProgress:
    """Shows nothing, and keeps warnings and notes; for library use and tests."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        """A task that shows nothing."""
        yield SilentTask()

    def warn(self, message: str) -> None:
        """Keep the message in `warnings`."""
        self.warnings.append(message)

    def note(self, message: str) -> None:
        """Keep the message in `notes`."""
        self.notes.append(message)
