"""The result of one frame of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.index.propagation_rows import PropagationRows


@dataclass(frozen=True)
class FrameResult:
    """Masks and routes of one frame for each of E sentences.

    Attributes:
        frame: its number in the stream, from 0.
        masks: (E, H, W) bool.
        scores: (E,) float32 highest object score of the tracks; NaN where there is no track.
        relevance: (E,) float32 probability when the frame was routed.
        routes: E of ``schemas.vocabulary.ROUTES``.
    """

    frame: int
    masks: np.ndarray
    scores: np.ndarray
    relevance: np.ndarray
    routes: tuple[str, ...]

    @staticmethod
    def join(parts: Sequence[FrameResult]) -> FrameResult:
        """The results of one frame for several groups of sentences."""
        return FrameResult(
            parts[0].frame,
            masks=np.concatenate([part.masks for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            relevance=np.concatenate([part.relevance for part in parts]),
            routes=tuple(route for part in parts for route in part.routes),
        )

    def rows(self, video_id: str, expression_ids: Sequence[str]) -> PropagationRows:
        """One row per sentence for the propagation table."""
        return PropagationRows(
            video_id,
            expression_ids,
            [self.frame] * len(self.routes),
            self.routes,
            self.relevance,
            self.scores,
            self.masks.sum(axis=(1, 2)),
        )
