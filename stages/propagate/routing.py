"""Routing: the frames of a sentence that take the language path (M+), and the others (M-)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.vocabulary import BEST_FRAME, EMPTY, LANGUAGE, PROPAGATED
from stages.core.model.object_tracks.guided import confident_frames
from stages.propagate.config import PropagateConfig


@dataclass(frozen=True)
class Route:
    """The route of one sentence's frames.

    Attributes:
        guided: (T,) bool, M+; all False if the sentence has no target.
        source: annotated, file, predicted, best frame, all, or no target.
    """

    guided: np.ndarray
    source: str

    @property
    def empty(self) -> bool:
        """No frame is guided: all masks are empty."""
        return not self.guided.any()

    def words(self) -> list[str]:
        """The word of each frame, as the propagation table has it."""
        if self.empty:
            return [EMPTY] * len(self.guided)
        word = BEST_FRAME if self.source == BEST_FRAME else LANGUAGE
        return [word if guided else PROPAGATED for guided in self.guided]


def relevant_frames(relevance: np.ndarray, config: PropagateConfig) -> np.ndarray:
    """Bool (T,): frames that are relevant by the settings, of probabilities (T,); maybe none."""
    return confident_frames(
        relevance,
        threshold=config.relevance_threshold,
        gaps=config.fill_gaps,
        specks=config.drop_specks,
    )


def predicted_route(
    relevance: np.ndarray, config: PropagateConfig, *, judged: bool = False
) -> Route:
    """Route by the relevance head.

    If no frame is relevant, the best frame alone is guided.

    Args:
        relevance: (T,) probabilities.
        config: thresholds.
        judged: whether there is a target is decided later, by the track head.
    """
    guided = np.zeros(len(relevance), bool)
    if not judged and relevance.max() < config.least_target(0.0):
        return Route(guided, "no target")
    guided = relevant_frames(relevance, config)
    if guided.any():
        return Route(guided, "predicted")
    guided[int(relevance.argmax())] = True
    return Route(guided, BEST_FRAME)


def choose_route(
    relevance: np.ndarray,
    known: np.ndarray | None,
    *,
    has_target: bool,
    config: PropagateConfig,
    judged: bool = False,
) -> Route:
    """The route of one sentence.

    Args:
        relevance: (T,) probabilities.
        known: (T,) bool, the moment from the index or the file, all False if the sentence is known
            to be never true; None if nothing is known.
        has_target: the index names a referent (only ``annotated`` uses it).
        config: what to route by.
        judged: see ``predicted_route``.
    """
    frames = len(relevance)
    if config.moments == "all":
        return Route(np.ones(frames, bool), "all")
    if config.moments == "predicted":
        return predicted_route(relevance, config, judged=judged)
    if known is not None:
        return Route(known.astype(bool), config.moments if known.any() else "no target")
    if config.moments == "annotated" and not has_target:
        return Route(np.zeros(frames, bool), "no target")
    return predicted_route(relevance, config, judged=judged)
