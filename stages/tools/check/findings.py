"""Findings of check: counts of the content, and every fault with the part of the data it is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.errors import TglError


@dataclass(frozen=True)
class Fault:
    """One fault: the part of the data, the place in it, and the message."""

    part: str
    where: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Findings:
    """Collects faults; one that several readers find is kept once."""

    def __init__(self) -> None:
        self._faults: dict[Fault, None] = {}
        self.counts: dict[str, int] = {}
        self.made_by: str | None = None
        self.notes: list[str] = []

    @property
    def faults(self) -> list[Fault]:
        """All faults in the order found."""
        return list(self._faults)

    def part(self, name: str) -> Callable[[TglError], None]:
        """Return a receiver of faults for one part of the data."""

        def receive(error: TglError) -> None:
            self._faults[Fault(name, error.where, error.message)] = None

        return receive


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        kind: kind of data that was recognised.
        counts: of the content.
        faults: every fault.
        fixed: one line per kind of thing that was fixed.
        notes: one line per thing that cannot be checked; not faults.
        made_by: stage that made a table or an artifact, from its receipt.
    """

    path: str
    kind: str
    counts: dict[str, int]
    faults: tuple[Fault, ...]
    fixed: tuple[str, ...] = ()
    made_by: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def by_part(self) -> dict[str, int]:
        """Count the faults in each part."""
        return dict(Counter(fault.part for fault in self.faults))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "path": self.path,
            "kind": self.kind,
            "made_by": self.made_by,
            "counts": self.counts,
            "faults_by_part": self.by_part,
            "faults": [
                {"part": fault.part, "where": fault.where, "message": fault.message}
                for fault in self.faults
            ],
            "fixed": list(self.fixed),
            "notes": list(self.notes),
        }
