"""The vote: which tracks the masks of a sentence cover, and which of them are its referents.

The language path finds an object; tracking draws it better (docs/model.md). So the masks of a
sentence's guided frames do not become the result, they choose among the tracks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from stages.core.media.spans import spans_of
from stages.core.model.object_tracks.records import ObjectTracks, SentenceMasks

VOTING_FRAMES = 64
"""Guided frames of a sentence, spread evenly, that vote."""


def vote(
    tracks: ObjectTracks, sentences: Sequence[SentenceMasks], *, by_moment: bool = True
) -> np.ndarray:
    """Score every track for every sentence.

    A score is the probability that the sentence's masks give to a pixel of the track, averaged
    over its pixels, then over the frames of a moment in which the track is visible. The moment
    with the highest one counts: each may show another referent.

    Args:
        tracks: N of them.
        sentences: E of one video.
        by_moment: False averages over all guided frames instead.

    Returns:
        float32 (E, N) from 0 to 1.
    """
    scores = np.zeros((len(sentences), len(tracks.names)), np.float32)
    if not len(tracks.names):
        return scores
    for row, sentence in enumerate(sentences):
        for frames in voting_frames(sentence.guided, by_moment=by_moment):
            inside = tracks.small(frames).float()  # (N, n, m, m)
            given = _to_side(sentence.maps.small_logits(frames).sigmoid(), inside.shape[-1])
            scores[row] = np.maximum(scores[row], _covered(inside, given).numpy())
    return scores


def voting_frames(guided: np.ndarray, *, by_moment: bool = True) -> list[list[int]]:
    """Frames of a sentence that vote, spread evenly, ascending.

    Args:
        guided: bool (T,).
        by_moment: one list per moment; else all in one.
    """
    frames = np.flatnonzero(guided)
    if not len(frames):
        return []
    moments = [np.arange(*span) for span in spans_of(guided)] if by_moment else [frames]
    most = max(1, VOTING_FRAMES // len(moments))
    return [_spread(moment, most) for moment in moments]


def _spread(frames: np.ndarray, most: int) -> list[int]:
    places = np.linspace(0, len(frames) - 1, min(len(frames), most))
    return [int(frame) for frame in frames[np.unique(places.round().astype(int))]]


def chosen_tracks(scores: np.ndarray, *, least: float, share: float) -> list[int]:
    """Numbers of the tracks that are a sentence's referents, the best first; maybe none.

    Args:
        scores: (N,).
        least: score that a track needs; it also needs more than 0.
        share: part of the best track's score that it needs.
    """
    if not len(scores):
        return []
    enough = max(least, share * float(scores.max()))
    order = np.argsort(-scores, kind="stable")
    return [int(number) for number in order if scores[number] >= enough and scores[number] > 0]


def _covered(inside: Tensor, given: Tensor) -> Tensor:
    """(N,) scores of tracks, float (N, n, m, m) of 0 and 1, by probabilities (n, m, m)."""
    pixels = inside.flatten(2).sum(dim=2)  # (N, n)
    mean = (inside * given).flatten(2).sum(dim=2) / pixels.clamp(min=1)
    shown = (pixels > 0).float()
    return (mean * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)


def _to_side(maps: Tensor, side: int) -> Tensor:
    """(n, m, m) at the side of the tracks' masks."""
    if maps.shape[-1] == side:
        return maps
    return F.interpolate(maps.unsqueeze(1), size=(side, side), mode="area")[:, 0]
