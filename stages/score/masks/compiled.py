"""Compiling the inner loops of scoring with numba, once per machine.

The machine code is cached in `__pycache__` beside the source or, if that is not writable, in the
user's cache folder (NUMBA_CACHE_DIR names another). If neither is writable, every run compiles
again, which takes a few seconds.

Compiled functions take arrays of exactly the types named here and check nothing; their callers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types

WORDS = types.Array(types.uint64, 2, "C")
INTEGERS = types.Array(types.int64, 1, "C")
READONLY_WORDS = types.Array(types.uint64, 2, "C", readonly=True)
READONLY_INTEGERS = types.Array(types.int64, 1, "C", readonly=True)
READONLY_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
READONLY_FLAGS = types.Array(types.boolean, 1, "C", readonly=True)


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function for one signature, or loads it from the cache.

    Helpers that the function calls have a bare `numba.njit` and are defined above it.
    """

    def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(signature, cache=True)(function)
        except (RuntimeError, OSError):  # no folder is writable, or the disk is full
            return numba.njit(signature)(function)

    return compile_function
