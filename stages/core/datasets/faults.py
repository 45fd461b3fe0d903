"""What a reader does with a fault: stop at it, or note it and read on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from schemas.errors import TglError

Faults: TypeAlias = Callable[[TglError], None]
"""Takes a fault; where it returns, the reader leaves the faulty thing out and goes on."""


def strict(error: TglError) -> None:
    """Stop at the first fault."""
    raise error
