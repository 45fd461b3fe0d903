"""Signatures of the inner loops: integers, and pointers to arrays; shapes are passed beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from numba import types

INTEGER = types.int64
BYTES = types.CPointer(types.uint8)
WORDS = types.CPointer(types.uint64)
INTEGERS = types.CPointer(types.int64)


helper = numba.njit(error_model="numpy", _nrt=False)
"""Decorator of a function that loops call, defined above them.

It does not count references to its arrays: they belong to Python.
"""


class Loop(NamedTuple):
    """A function to compile: it returns an int64, raises nothing and allocates nothing."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def kinds(self) -> str:
        """A letter for each argument: `i`, an integer, or `p`, an address."""
        return "".join("i" if argument == INTEGER else "p" for argument in self.arguments)


LOOPS: list[Loop] = []
"""All of the modules that were imported."""


def loop(*arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that registers a function by the types of its arguments."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        LOOPS.append(Loop(function, arguments))
        return function

    return register
