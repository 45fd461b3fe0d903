"""The lines that a command prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from schemas.errors import IncompleteRun
from schemas.printable import LONG, printable
from schemas.wording import amount

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome

_MINUTE = 60
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_BYTE_STEP = 1000


def print_outcome(stage: str, outcome: Outcome, *, quiet: bool) -> None:
    """Print one line of counts and the output's path, and a line for every input that failed.

    A single failure is left to the message of :func:`incomplete_run`.
    """
    if len(outcome.failures) > 1:
        for failure in outcome.failures.values():
            typer.echo(f"failed: {printable(failure, LONG)}", err=True)
    if not quiet and outcome.published:
        verb = "up to date" if outcome.skipped else f"done in {duration(outcome.seconds)}"
        typer.echo(f"{stage}: {verb}: {counts_text(outcome.counts)} -> {shown(outcome.path)}")
        if outcome.replaced is not None:
            typer.echo(f"{stage}: replaced {outcome.replaced}")


def incomplete_run(outcome: Outcome) -> IncompleteRun:
    """The error of a run in which inputs failed."""
    failed = f"{amount(len(outcome.failures), 'inputs')} failed"
    lines = list(outcome.failures.values())
    which = f"; {lines[0]}" if len(lines) == 1 else ""
    if outcome.published:
        return IncompleteRun(
            f"{failed}, the others are done{which}",
            where=shown(outcome.out),
            hint="fix what failed and run the same command again; only that is recomputed",
        )
    return IncompleteRun(
        f"{failed}, so the previous complete result was kept; finished work is in "
        f"{shown(outcome.path)}{which}",
        where=shown(outcome.out),
        hint="fix what failed and run the same command again, or replace the result with --force",
    )


def counts_text(counts: Mapping[str, int | float]) -> str:
    """Format counts in words, without those that are 0."""
    parts = []
    for name, value in counts.items():
        if name == "bytes":
            parts.append(size(int(value)))
        elif value:
            exact = isinstance(value, int)
            parts.append(amount(int(value), name) if exact else f"{value:.4g} {name}")
    return ", ".join(parts) or "nothing"


def duration(seconds: float) -> str:
    """Format seconds: 1.8 s, 3 min 5 s."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"


def size(count: int) -> str:
    """Format a number of bytes: 21.4 MB."""
    value = float(count)
    for unit in _BYTE_UNITS[:-1]:
        if value < _BYTE_STEP:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _BYTE_STEP
    return f"{value:.1f} {_BYTE_UNITS[-1]}"


def shown(path: object) -> str:
    """Format a path, relative to the current folder if it is below it; safe to print."""
    from pathlib import Path

    full = Path(str(path))
    below = full.is_relative_to(Path.cwd())
    return printable(full.relative_to(Path.cwd()) if below else full, LONG)
