"""Telling a lack of memory from every other failure, without loading torch."""

from __future__ import annotations

_ACCELERATOR = "OutOfMemoryError"  # torch's own type, for every kind of accelerator
_CPU = "can't allocate memory"  # torch's allocator on the CPU raises a plain RuntimeError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy or torch found no memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == _ACCELERATOR:
        return True
    return isinstance(error, RuntimeError) and _CPU in str(error)
