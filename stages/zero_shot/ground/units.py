"""The finished candidates of one video, with what was left out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.tables import CANDIDATES
from stages.core.index.kept_features import Kept
from stages.zero_shot.ground.boxes import Found, candidate_rows

_KEPT = [field.name for field in fields(Kept)]


@dataclass(frozen=True)
class VideoCandidates:
    """Candidates of a video.

    Attributes:
        rows: of the candidates table.
        frames: number of frames that were searched.
        dropped: number of boxes without an area inside their frame.
        cut: number of sentences that are longer than the text encoder takes.
        kept: what the features of the searched frames were made with, if they were kept.
    """

    rows: pa.Table
    frames: int
    dropped: int = 0
    cut: int = 0
    kept: Kept | None = None

    @classmethod
    def of(
        cls,
        video_id: str,
        found: Sequence[Found],
        source: str,
        *,
        frames: int,
        dropped: int = 0,
        cut: int = 0,
        kept: Kept | None = None,
    ) -> VideoCandidates:
        """Make the rows of what was found, which is in the order of the rows."""
        return cls(candidate_rows(video_id, found, source), frames, dropped, cut, kept)

    @property
    def sentences(self) -> int:
        """Number of sentences with a candidate."""
        return int(pc.count_distinct(self.rows.column("expression_id")).as_py())

    def pack(self) -> pa.Table:
        """One row with everything, as a workspace keeps a unit."""
        rows = pa.StructArray.from_arrays(
            [column.combine_chunks() for column in self.rows.columns],
            fields=list(CANDIDATES.schema),
        )
        return pa.table(
            {
                "frames": [self.frames],
                "dropped": [self.dropped],
                "cut": [self.cut],
                "candidates": pa.ListArray.from_arrays(np.array([0, len(rows)], np.int32), rows),
            }
            | ({} if self.kept is None else {n: [v] for n, v in asdict(self.kept).items()})
        )

    @classmethod
    def unpack(cls, unit: pa.Table) -> VideoCandidates:
        """Undo :meth:`pack`."""
        rows = unit.column("candidates").combine_chunks().flatten()
        table = pa.Table.from_arrays(rows.flatten(), schema=CANDIDATES.schema)
        frames, dropped, cut = (unit.column(n)[0].as_py() for n in ("frames", "dropped", "cut"))
        kept = None
        if set(_KEPT) <= set(unit.column_names):
            kept = Kept(**{name: unit.column(name)[0].as_py() for name in _KEPT})
        return cls(table, frames, dropped, cut, kept)
