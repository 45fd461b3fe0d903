"""Receivers of the faults that a reader finds: stop at the first, or note it and read on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from schemas.errors import TglError

Faults: TypeAlias = Callable[[TglError], None]
"""Receives a fault; if it returns, the reader leaves out what has the fault and goes on."""


def strict(error: TglError) -> None:
    """Stop at the first fault."""
    raise error
