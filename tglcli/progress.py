"""The only progress bar: the progress protocol, drawn with tqdm."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from schemas.printable import printable, printable_line
from stages.core.engine.progress import Task

_BAR_TEXT = 40
"""Most characters of a name or figure beside a bar, on the same line."""


class _Bar:
    """A task with a tqdm bar."""

    def __init__(self, bar: tqdm):
        self._bar = bar
        self._figures: dict[str, float | str] = {}

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """Advance the bar and show figures beside it, with earlier ones of other names."""
        if figures:
            self._figures |= {name: _figure(value) for name, value in figures.items()}
            self._bar.set_postfix(self._figures, refresh=False)
        self._bar.update(n)

    def expect(self, total: int) -> None:
        """Set the total of the bar."""
        self._bar.total = total
        self._bar.refresh()


class TerminalProgress:
    """Bars, warnings and notes on standard error; bars only if it is a terminal."""

    def __init__(self, *, quiet: bool = False):
        self._quiet = quiet

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        """Show a bar until the task ends."""
        disable = True if self._quiet else None  # None: tqdm asks whether it is a terminal
        with tqdm(
            total=total,
            desc=printable(name, _BAR_TEXT),
            unit=f" {unit}",
            leave=False,
            disable=disable,
            file=sys.stderr,
        ) as bar:
            yield _Bar(bar)

    def warn(self, message: str) -> None:
        """Print a line above the bars."""
        with contextlib.suppress(OSError):  # closed: go on
            tqdm.write(f"warning: {printable_line(message)}", file=sys.stderr)

    def note(self, message: str) -> None:
        """Print a line above the bars, unless quiet."""
        if not self._quiet:
            with contextlib.suppress(OSError):  # closed: go on
                tqdm.write(printable_line(message), file=sys.stderr)


def _figure(value: float | str) -> float | str:
    return printable(value, _BAR_TEXT) if isinstance(value, str) else value
