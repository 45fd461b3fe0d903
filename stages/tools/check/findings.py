"""What check found: counts of what is there, and every fault by the part it is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.errors import TglError


@dataclass(frozen=True)
class Fault:
    """One fault: the part of the data it is in, where exactly, and what it is."""

    part: str
    where: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Findings:
    """Collects faults; the same one is kept once however many readers meet it."""

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
        """A receiver of faults for one part of the data."""

        def receive(error: TglError) -> None:
            self._faults[Fault(name, error.where, error.message)] = None

        return receive


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        kind: what the path was recognised as.
        counts: what is there.
        faults: every fault.
        fixed: what was fixed, one line each.
        notes: what cannot be told, one line each; no faults.
        made_by: the stage that made a table or an artifact, as its own receipt says.
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
        """Number of faults in each part."""
        return dict(Counter(fault.part for fault in self.faults))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
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
