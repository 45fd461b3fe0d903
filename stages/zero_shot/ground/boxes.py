"""Boxes found for a sentence on a frame, and the rows of the candidates table they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from schemas.tables import CANDIDATES


@dataclass(frozen=True)
class Boxes:
    """K boxes, best first.

    Attributes:
        corners: (K, 4) float32: x0, y0, x1, y1 in pixels of the frame.
        scores: (K,) float32.
        counts: compressed COCO RLE of each box's mask, None where the detector gives no masks.
        dropped: number of better boxes that were dropped, as they have no area in the frame.
    """

    corners: np.ndarray
    scores: np.ndarray
    counts: Sequence[bytes | None]
    dropped: int = 0

    def __post_init__(self) -> None:
        if self.corners.shape != (len(self.scores), 4) or len(self.counts) != len(self.scores):
            raise ValueError(
                f"{len(self.scores)} scores and {len(self.counts)} masks for boxes of shape "
                f"{self.corners.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, rows: np.ndarray) -> Boxes:
        """The boxes of some rows, int (n,)."""
        counts = [self.counts[row] for row in rows.tolist()]
        return Boxes(self.corners[rows], self.scores[rows], counts, self.dropped)

    def inside(self, height: int, width: int) -> Boxes:
        """The boxes clipped to the frame; those without an area in it are dropped."""
        high = np.array([width, height, width, height], np.float32)
        corners = np.clip(self.corners, 0, high)
        kept = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
        kept &= np.isfinite(self.scores)  # a box that is not a number is not above another
        dropped = self.dropped + len(kept) - int(kept.sum())
        return replace(self, corners=corners, dropped=dropped).at(np.flatnonzero(kept))


@dataclass(frozen=True)
class Found:
    """Candidates of one sentence on one frame.

    Attributes:
        expression_id: of the sentence.
        frame: position in the video.
        boxes: best first.
        phrase: the words that were searched for; None for the whole sentence.
    """

    expression_id: str
    frame: int
    boxes: Boxes
    phrase: str | None = None


def candidate_rows(video_id: str, found: Sequence[Found], source: str) -> pa.Table:
    """Rows of the candidates table, in the order of `found`."""
    sizes = [len(item.boxes) for item in found]
    corners = _joined([item.boxes.corners for item in found], (0, 4))
    columns = {
        "video_id": [video_id] * sum(sizes),
        "expression_id": np.repeat([item.expression_id for item in found], sizes).tolist(),
        "frame": np.repeat([item.frame for item in found], sizes),
        "rank": np.concatenate([np.arange(0), *map(np.arange, sizes)]),
        **{name: corners[:, n] for n, name in enumerate(("x0", "y0", "x1", "y1"))},
        "score": _joined([item.boxes.scores for item in found], (0,)),
        "phrase": [item.phrase for item in found for _ in range(len(item.boxes))],
        "counts": [counts for item in found for counts in item.boxes.counts],
        "source": [source] * sum(sizes),
    }
    arrays = [pa.array(columns[field.name], field.type) for field in CANDIDATES.schema]
    return pa.Table.from_arrays(arrays, schema=CANDIDATES.schema)


def _joined(parts: Sequence[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([np.zeros(empty, np.float32), *parts])
