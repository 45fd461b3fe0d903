"""Which frames of a sentence are guided by language (M+), and which only read the memory (M-)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.propagate.config import PropagateConfig

LANGUAGE, PROPAGATED, EMPTY = "language", "propagated", "empty"


@dataclass(frozen=True)
class Route:
    """How one sentence's frames go.

    Attributes:
        guided: (T,) bool, M+; all False if the sentence has no target.
        source: what decided: annotated, file, predicted, best frame, all, or no target.
    """

    guided: np.ndarray
    source: str

    @property
    def empty(self) -> bool:
        """Nothing is guided, so that nothing can be found: all masks are empty."""
        return not self.guided.any()

    def words(self) -> list[str]:
        """One of language, propagated, empty for each frame."""
        if self.empty:
            return [EMPTY] * len(self.guided)
        return [LANGUAGE if guided else PROPAGATED for guided in self.guided]


def spans_of(inside: np.ndarray) -> list[tuple[int, int]]:
    """Half-open spans of the True values of (T,) bool."""
    padded = np.concatenate([[False], np.asarray(inside, bool), [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def fill_gaps(inside: np.ndarray, longest: int) -> np.ndarray:
    """(T,) bool with gaps of at most ``longest`` frames between True values closed."""
    filled = inside.copy()
    for start, end in spans_of(~inside):
        between = start > 0 and end < len(inside)
        if between and end - start <= longest:
            filled[start:end] = True
    return filled


def drop_specks(inside: np.ndarray, longest: int) -> np.ndarray:
    """(T,) bool without spans of at most ``longest`` frames."""
    kept = inside.copy()
    for start, end in spans_of(inside):
        if end - start <= longest:
            kept[start:end] = False
    return kept


def predicted_route(relevance: np.ndarray, config: PropagateConfig) -> Route:
    """Route by the relevance head.

    Gaps are closed before specks are dropped, so that a moment in pieces is not lost. If nothing
    is left, the best frame alone is guided.

    Args:
        relevance: (T,) probabilities.
        config: thresholds.
    """
    guided = np.zeros(len(relevance), bool)
    if relevance.max() < config.no_target_threshold:
        return Route(guided, "no target")
    passed = relevance >= config.relevance_threshold
    guided = drop_specks(fill_gaps(passed, config.fill_gaps), config.drop_specks)
    if guided.any():
        return Route(guided, "predicted")
    guided[int(relevance.argmax())] = True
    return Route(guided, "best frame")


def choose_route(
    relevance: np.ndarray,
    known: np.ndarray | None,
    *,
    has_target: bool,
    config: PropagateConfig,
) -> Route:
    """The route of one sentence.

    Args:
        relevance: (T,) probabilities.
        known: (T,) bool, the moment from the index or the file; None where it names none.
        has_target: the index names a referent (only ``annotated`` looks at it).
        config: what to route by.
    """
    frames = len(relevance)
    if config.moments == "all":
        return Route(np.ones(frames, bool), "all")
    if config.moments == "predicted":
        return predicted_route(relevance, config)
    if known is not None and known.any():
        return Route(known.astype(bool), config.moments)
    if config.moments == "annotated" and not has_target:
        return Route(np.zeros(frames, bool), "no target")
    return predicted_route(relevance, config)
