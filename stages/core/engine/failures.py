"""Telling failures of a single input from those that end the run, without loading torch."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.errors import CorruptInput, LostWorker, MissingInput, SchemaMismatch, TglError

_ACCELERATOR = "OutOfMemoryError"  # torch's own type, for every kind of accelerator
_MESSAGES = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Of plain RuntimeErrors: torch's allocators on the CPU and for pinned memory, and libraries."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python, numpy or torch ran out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == _ACCELERATOR:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MESSAGES)


INPUT_FAILURES = (MissingInput, CorruptInput, SchemaMismatch, LostWorker)
"""Errors of a single input; any other ends the run."""


def input_failure(error: TglError) -> TglError:
    """Return `error` if it is the fault of a single input, so that the others go on.

    Raises:
        TglError: it is not: a full disk, a lack of memory, a refusal of the system.
    """
    if not isinstance(error, INPUT_FAILURES):
        raise error
    return error


def failure_lines(failures: Mapping[str, TglError]) -> dict[str, str]:
    """The line of each failed video, by its name, for errors that do not name it."""
    return {name: f"video {name}: {error}" for name, error in failures.items()}


def nothing_done(failures: Mapping[str, TglError], unit: str) -> TglError:
    """The error for a run in which every input failed, so that nothing is published.

    Args:
        failures: by the name of the input, at least one.
        unit: the name of an input, such as `video`.
    """
    first = next(iter(failures.values()))
    if len(failures) == 1:
        return first
    return CorruptInput(
        f"{first.message} (the first of {len(failures)} {unit}s, all of which failed; nothing was "
        "written)",
        where=first.where,
        hint=first.hint,
    )
