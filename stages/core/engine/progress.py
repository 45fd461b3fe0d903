"""The progress protocol: a stage reports, the command line draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One bar."""

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Count `n` more units; `figures` (loss, J, ...) stand beside the bar."""

    def expect(self, total: int) -> None:
        """Say how many units there will be, once that is known or known better."""


class Progress(Protocol):
    """Where a stage reports to."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]:
        """A bar over `total` units (None if unknown) while the context lasts."""

    def warn(self, message: str) -> None:
        """One line that the user should read although the run goes on."""


class SilentTask:
    """Counts for nobody."""

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Do nothing."""

    def expect(self, total: int) -> None:
        """Do nothing."""


class SilentProgress:
    """Shows nothing and keeps the warnings, for library use and tests."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        """A task that nobody sees."""
        yield SilentTask()

    def warn(self, message: str) -> None:
        """Keep the message in `warnings`."""
        self.warnings.append(message)
