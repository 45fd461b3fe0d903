"""The masks of the language path on the guided frames of sentences: what finds object tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stages.core.media.spans import drop_short, fill_gaps
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.records import Decoded
from stages.core.model.config import SegmenterConfig
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import Item, guided_rounds, plan_tracks
from stages.core.model.object_tracks.maps import LogitMaps, quantise
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.tgl import TglModel


def confident_frames(
    relevance: np.ndarray, *, threshold: float, gaps: int, specks: int
) -> np.ndarray:
    """Bool (T,): frames whose relevance (T,) reaches a threshold; maybe none.

    Gaps are filled before short spans are dropped, so that a moment in pieces is not lost.

    Args:
        threshold: probability.
        gaps: frames of the longest gap that is filled.
        specks: frames of the longest span that is dropped.
    """
    return drop_short(fill_gaps(relevance >= threshold, gaps), specks)


def confident_or_best(
    relevance: np.ndarray, *, threshold: float, gaps: int, specks: int
) -> np.ndarray:
    """As ``confident_frames``, but the best frame alone where it gives none."""
    guided = confident_frames(relevance, threshold=threshold, gaps=gaps, specks=specks)
    if not guided.any():
        guided[int(relevance.argmax())] = True
    return guided


def guided_masks(
    model: TglModel,
    tokens: AdapterCache,
    guided: np.ndarray,
    relevance: np.ndarray,
    config: SegmenterConfig,
    *,
    by_time: bool,
) -> list[SentenceMasks]:
    """Segment the guided frames of E sentences; the others are left to tracking.

    No mask and no memory is blanked, however low its object score: one wrong frame would hide the
    object in all later ones, and which masks show an object is decided by tracking them.

    Args:
        model: in eval mode.
        tokens: the adapter's, of the video for the E sentences.
        guided: bool (E, T); no frame for a sentence without a target.
        relevance: float (E, T) probabilities, which the result keeps.
        config: of the language path.
        by_time: see ``Segmenter.run``.
    """
    config = replace(config, object_gate="never")
    features = tokens.features
    times = np.arange(guided.shape[1])
    tracks = [
        track
        for track in plan_tracks(guided, times, per_moment=config.per_moment_banks)
        if guided[track.expression].any()
    ]
    collector = _Collector(guided, model.backbone.mask_size)
    segmenter = Segmenter(model.backbone, config)
    path = model.language_path(tokens, tokens.text, config)
    for items in guided_rounds(tracks, by_time=by_time):
        for batch, decoded in segmenter.guide(
            items, lambda own: features.of([item.frame for item in own]), path
        ):
            collector.add(batch, decoded)
    return [
        SentenceMasks(collector.maps[row], guided[row], relevance[row], collector.scores[row])
        for row in range(len(guided))
    ]


class _Collector:
    """Gathers the mask logits of E sentences of a video, united over their memory banks.

    Args:
        guided: bool (E, T).
        side: s of the masks.

    Attributes:
        maps: of each sentence.
        scores: float32 (E, T) highest object score of the banks; NaN where there is none.
    """

    def __init__(self, guided: np.ndarray, side: int):
        self.maps = [LogitMaps(side) for _ in guided]
        self.scores = np.full(guided.shape, np.nan, np.float32)

    def add(self, items: Sequence[Item], decoded: Decoded) -> None:
        """Take the results of B items."""
        scores = decoded.object_score.float().cpu().numpy()
        levels = quantise(decoded.mask_logits)
        for item, score, own in zip(items, scores, levels, strict=True):
            place = (item.expression, item.frame)
            self.scores[place] = np.fmax(self.scores[place], score)
            self.maps[item.expression].put(item.frame, own)
