"""Decisions from what the track head says: is there a target, and which tracks are it.

Chosen on the 180 sentences of 30 toy dev clips with own tracks (docs/model.md): the head and the
relevance of frames together tell sentences without a target better than either (area under the ROC
0.93 against 0.90 and 0.85), and the head with the vote chooses better than either, by predicted and
by annotated moments.
"""

from __future__ import annotations

import numpy as np

VOTE_WEIGHT = 0.5
"""Of a track's vote beside its match."""
CHOSEN_SHARE = 0.7
"""Part of the best track's score that a further referent needs."""
_HIGHEST = 5
"""Frames whose relevance counts: the maximum alone grows with the length of a video."""
_LEAST = 1e-4


def target_probability(match: np.ndarray, relevance: np.ndarray) -> float:
    """How likely a sentence has a target: the odds of its best track times those of its frames.

    Args:
        match: (N,) probabilities of the tracks.
        relevance: (T,) probabilities of the frames.

    Returns:
        From 0 to 1; 0 without tracks.
    """
    if not len(match):
        return 0.0
    frames = float(np.sort(relevance)[-_HIGHEST:].mean())
    return float(1 / (1 + np.exp(-_log_odds(float(match.max())) - _log_odds(frames))))


def track_scores(match: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Scores (..., N) from 0 to 1 by which tracks are chosen, of probabilities and votes."""
    return (match + VOTE_WEIGHT * votes) / (1 + VOTE_WEIGHT)


def _log_odds(probability: float) -> float:
    probability = min(max(probability, _LEAST), 1 - _LEAST)
    return float(np.log(probability / (1 - probability)))
