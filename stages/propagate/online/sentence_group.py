"""A group of sentences over a stream: the adapter's tokens, routes and both paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from schemas.vocabulary import EMPTY, LANGUAGE, PROPAGATED
from stages.core.model.adapter.adapter import ClipTokens
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import Item
from stages.core.model.masks import enlarge_masks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.routing import MomentFinder, smoothing_reach
from stages.propagate.online.tracks import SentenceTracks, StreamTrack, store_results


class FrameWindow:
    """Features of the last frames of a stream; the first of them has number ``first``."""

    def __init__(self) -> None:
        self.first = 0
        self._features: FrameFeatures | None = None

    @property
    def end(self) -> int:
        """Number of the next frame to come."""
        return self.first + (0 if self._features is None else len(self._features))

    def add(self, features: FrameFeatures) -> None:
        """Append the newest frames."""
        known = [] if self._features is None else [self._features]
        self._features = FrameFeatures.cat([*known, features])

    def since(self, frame: int) -> FrameFeatures:
        """All frames from this number on."""
        assert self._features is not None
        return self._features[frame - self.first :]

    def fetch(self, items: Sequence[Item]) -> FrameFeatures:
        """Features of items, by the numbers of their frames."""
        assert self._features is not None
        frames = [item.frame for item in items]
        places = torch.tensor(frames, device=self._features.coarse.device) - self.first
        return self._features[places]

    def forget(self, before: int) -> None:
        """Drop the frames before this number."""
        if self._features is not None and before > self.first:
            self._features = self._features[before - self.first :]
            self.first = before


class SentenceGroup:
    """E sentences that run as one batch.

    Args:
        model: on its device, in eval mode.
        text: of the sentences.
        finders: one per sentence.
        config: gate and limits.
        size: (H, W) of the masks.
    """

    def __init__(
        self,
        model: TglModel,
        text: TextBatch,
        finders: Sequence[MomentFinder],
        config: PropagateConfig,
        size: tuple[int, int],
    ):
        self._model = model
        self._text = model.adapter.text(text)
        self._finders = finders
        self._config = config
        self._size = size
        self._settings = config.segmenter(model.segmenter)
        self._gate = self._settings.gates(training=False)
        self._segmenter = Segmenter(model.backbone, self._settings, one_video=True)
        self.sentences = [
            SentenceTracks(
                row,
                per_moment=self._settings.per_moment_banks,
                most=config.online_moments,
                longest_break=finder.longest_break,
            )
            for row, finder in enumerate(finders)
        ]
        self._routed = 0
        self._final = 0  # no later frame changes the tokens of the frames before this one
        self._tokens: Tensor | None = None  # (E, w, d) one token per frame from `_tokens_first` on
        self._tokens_first = 0
        self._guided: dict[int, np.ndarray] = {}
        self._relevance: dict[int, np.ndarray] = {}

    @property
    def oldest_needed(self) -> int:
        """The oldest frame whose features are still needed for tokens or masks."""
        return max(0, min(self._final, self._routed) - self._model.adapter.halo)

    def route(self, window: FrameWindow, until: int) -> None:
        """Encode the newest frames, route those before ``until``, segment the guided ones."""
        if until == self._routed:
            return
        first = self.oldest_needed
        tokens = self._encode(window, first)
        relevance, begin = self._read_relevance(window.end)
        start, self._routed = self._routed, until
        decided = np.stack(
            [
                finder.decide(row, begin, start, until)
                for finder, row in zip(self._finders, relevance, strict=True)
            ]
        )
        for frame in range(start, until):
            self._relevance[frame] = relevance[:, frame - begin]
            self._guided[frame] = decided[:, frame - start]
            self._guide(frame, window, tokens, first)

    def finish(self, window: FrameWindow, start: int, end: int) -> list[FrameResult]:
        """Results of the frames from ``start`` to ``end``, which are all routed."""
        self._propagate(window, start, end)
        results = [self._result(frame) for frame in range(start, end)]
        for sentence in self.sentences:
            sentence.advance(end)
        for track in self._tracks():
            track.drop_unread(self._segmenter.most_read)
        return results

    def _encode(self, window: FrameWindow, first: int) -> ClipTokens:
        """The adapter's tokens of the frames from ``first`` on; updates the frame tokens."""
        halo = self._model.adapter.halo
        features = window.since(first)
        device = features.coarse.device
        times = torch.arange(first, window.end, device=device).unsqueeze(0)
        frames = torch.arange(len(features), device=device).unsqueeze(0)
        tokens = self._model.adapter.encode_clip(features, frames, times, self._text)
        # Tokens before it depend on the window's edge, unless that is the stream's beginning.
        fresh = max(self._tokens_first, first + halo if first else 0)
        parts = [tokens.frame[:, fresh - first :]]
        if self._tokens is not None:
            parts.insert(0, self._tokens[:, : fresh - self._tokens_first])
        self._tokens = torch.cat(parts, dim=1)
        self._final = max(0, window.end - halo)
        return tokens

    def _read_relevance(self, end: int) -> tuple[np.ndarray, int]:
        """(E, w) probabilities of the frames before ``end``, and the first one's number."""
        assert self._tokens is not None
        begin = max(0, self._routed - smoothing_reach(self._config))
        oldest = max(0, begin - self._model.adapter.config.relevance_radius)
        self._tokens = self._tokens[:, oldest - self._tokens_first :].clone()
        self._tokens_first = oldest
        times = torch.arange(oldest, end, device=self._tokens.device).unsqueeze(0)
        logits = self._model.adapter.relevance(self._tokens, times)
        return logits[:, begin - oldest :].float().sigmoid().cpu().numpy(), begin

    def _guide(self, frame: int, window: FrameWindow, tokens: ClipTokens, first: int) -> None:
        """The language path of one frame, for the sentences that it is relevant to."""
        pending = min(self._guided)
        items = [
            Item(self.sentences[row].guiding(frame, pending), frame - first, frame)
            for row in np.flatnonzero(self._guided[frame])
        ]
        path = self._model.language_path(tokens, self._text, self._settings)
        store_results(self._segmenter.guide(items, window.fetch, path))

    def _propagate(self, window: FrameWindow, start: int, end: int) -> None:
        """The language-agnostic path of all tracks for the frames that they did not guide."""
        tracks = self._tracks()
        by_frame = [
            [Item(track, frame - start, frame) for track in tracks if frame not in track.results]
            for frame in range(start, end)
        ]
        # What a frame writes, the next one reads; if none is written, they need no order.
        batches = by_frame if self._segmenter.writes_others else [list(chain(*by_frame))]
        for items in batches:
            store_results(self._segmenter.propagate(items, window.fetch))

    def _tracks(self) -> list[StreamTrack]:
        return [track for sentence in self.sentences for track in sentence.tracks]

    def _result(self, frame: int) -> FrameResult:
        """Unite the tracks of each sentence."""
        count = len(self._finders)
        masks = np.zeros((count, *self._size), bool)
        scores = np.full(count, np.nan, np.float32)
        guided, relevance = self._guided.pop(frame), self._relevance.pop(frame)
        for track in self._tracks():
            row = track.expression
            logits, score = track.results[frame]
            scores[row] = np.fmax(scores[row], score)
            if score > 0 or not self._gate:
                masks[row] |= enlarge_masks(logits.unsqueeze(0), *self._size)[0].cpu().numpy()
        routes = tuple(
            LANGUAGE if here else (PROPAGATED if sentence.tracks else EMPTY)
            for here, sentence in zip(guided, self.sentences, strict=True)
        )
        return FrameResult(frame, masks, scores, relevance, routes)
