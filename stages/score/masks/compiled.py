"""Compiling the inner loops of scoring with numba, once a machine.

The machine code is kept in `__pycache__` beside the source or, where that cannot be written, in the
user's cache folder (NUMBA_CACHE_DIR names another). Where nothing can be kept, each run compiles
again, which takes a few seconds.

Compiled functions take arrays of exactly the types named here and check nothing: that is for their
callers to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types

ROWS = types.Array(types.uint64, 2, "C")
SEEN_ROWS = types.Array(types.uint64, 2, "C", readonly=True)
SEEN_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
SEEN_FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
NUMBERS = types.Array(types.int64, 1, "C")
SEEN_NUMBERS = types.Array(types.int64, 1, "C", readonly=True)


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that compiles a function for one signature, or finds it compiled.

    Helpers that it calls carry a bare `numba.njit` and stand above it.
    """

    def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(signature, cache=True)(function)
        except (RuntimeError, OSError):  # no folder can be written, or the disk is full
            return numba.njit(signature)(function)

    return compile_function
