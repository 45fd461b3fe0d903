"""Which failures are an input's own, and which end the run; loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError

_ACCELERATOR = "OutOfMemoryError"  # torch's own type, for every kind of accelerator
_CPU = "can't allocate memory"  # torch's allocator on the CPU raises a plain RuntimeError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy or torch found no memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == _ACCELERATOR:
        return True
    return isinstance(error, RuntimeError) and _CPU in str(error)


INPUT_FAILURES = (MissingInput, CorruptInput, SchemaMismatch)
"""Errors that are one input's own; any other ends a run."""


def input_failure(error: TglError) -> TglError:
    """`error`, if an input failed by its own fault while the others go on.

    Raises:
        TglError: it is no fault of an input: a full disk, a lack of memory, what the system
            refuses.
    """
    if not isinstance(error, INPUT_FAILURES):
        raise error
    return error


def nothing_done(failures: Sequence[TglError], unit: str) -> TglError:
    """What to raise where every input failed, so that nothing is published.

    Args:
        failures: at least one.
        unit: an input's name, such as `video`.
    """
    first = failures[0]
    if len(failures) == 1:
        return first
    return CorruptInput(
        f"{first.message} (the first of {len(failures)} {unit}s, all of which failed; nothing was "
        "written)",
        where=first.where,
        hint=first.hint,
    )
