"""What a reader does with a fault: stop at it, or note it and read on."""

from __future__ import annotations

from typing import Protocol

from schemas.errors import TglError


class Faults(Protocol):
    """Takes a fault; where it returns, the reader leaves the faulty thing out and goes on."""

    def __call__(self, error: TglError) -> None:
        """Raise `error`, or keep it."""


def strict(error: TglError) -> None:
    """Stop at the first fault."""
    raise error


class Collected:
    """Keeps every fault, in the order found."""

    def __init__(self) -> None:
        self.errors: list[TglError] = []

    def __call__(self, error: TglError) -> None:
        """Keep `error`."""
        self.errors.append(error)
