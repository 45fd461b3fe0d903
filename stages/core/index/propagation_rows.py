"""Rows of the propagation table: the one record that every writer of the table fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.tables import PROPAGATION


@dataclass(frozen=True)
class PropagationRows:
    """N rows of one video.

    Attributes:
        video_id: of all rows.
        expression_ids: of each row.
        frames: of each row.
        routes: of each row, one of ``schemas.vocabulary.ROUTES``.
        relevance: (N,) probabilities.
        scores: (N,) highest object score of the tracks; NaN where there is no track.
        areas: (N,) pixels of the masks.
    """

    video_id: str
    expression_ids: Sequence[str]
    frames: Sequence[int]
    routes: Sequence[str]
    relevance: np.ndarray
    scores: np.ndarray
    areas: np.ndarray

    def table(self, *, unknown_relevance: bool = False) -> pa.Table:
        """The rows as the propagation table has them.

        Args:
            unknown_relevance: NaN stands for a frame of unknown relevance, and becomes null; from a
                model it is a fault, which score reports.
        """
        scores = np.asarray(self.scores, np.float32)
        relevance = np.asarray(self.relevance, np.float32)
        unknown = np.isnan(relevance) if unknown_relevance else None
        columns = {
            "video_id": [self.video_id] * len(self.frames),
            "expression_id": self.expression_ids,
            "frame": np.asarray(self.frames, np.int32),
            "route": self.routes,
            "relevance": pa.array(relevance, pa.float32(), mask=unknown),
            "object_score": pa.array(scores, pa.float32(), mask=np.isnan(scores)),
            "mask_area": np.asarray(self.areas, np.int64),
        }
        return pa.table(columns, schema=PROPAGATION.schema)
