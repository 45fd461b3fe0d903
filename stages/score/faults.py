"""Faults become one error, or a count beside the score; none is ever lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.errors import CorruptInput, MissingInput, TglError
from stages.score.cases import Fault
from stages.score.survey import MISSING_FOLDER, MISSING_VIDEO
from stages.score.worker import MISSING_FRAME

_LISTED = 5
_ABSENT = (MISSING_VIDEO, MISSING_FOLDER, MISSING_FRAME)


def fault_error(faults: Sequence[Fault], where: object) -> TglError:
    """The error that names the first five faults and how many there are in all."""
    frames = sum(fault.frames for fault in faults)
    listed = "; ".join(str(fault) for fault in faults[:_LISTED])
    rest = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    kind = MissingInput if all(fault.kind in _ABSENT for fault in faults) else CorruptInput
    plural = "s" if len(faults) > 1 else ""
    return kind(
        f"{len(faults)} fault{plural} ({frames} frames): {listed}{rest}",
        where=where,
        hint="mend them, or count them as 0 with --missing zero",
    )


def by_kind(kinds: Mapping[str, int]) -> dict[str, int]:
    """Frames by kind of fault, details in brackets left out, most frequent first."""
    totals: dict[str, int] = {}
    for kind, frames in kinds.items():
        short = kind.split(" (")[0]
        totals[short] = totals.get(short, 0) + frames
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
