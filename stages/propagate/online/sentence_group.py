"""Some sentences over a stream: what the adapter sees of them, their routes and both paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from schemas.vocabulary import EMPTY, LANGUAGE, PROPAGATED
from stages.core.model.adapter import ClipView
from stages.core.model.backbones.backbone import Decoded
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.segmenter import Item, Segmenter
from stages.core.model.text import TextBatch
from stages.core.model.tgl import AdapterPath, TglModel
from stages.propagate.answers import enlarge
from stages.propagate.config import PropagateConfig
from stages.propagate.online.routing import MomentFinder, smoothing_reach
from stages.propagate.online.tracks import LiveTrack, SentenceTracks, keep_answers


class FrameWindow:
    """Features of the last frames of a stream; the first of them has number ``first``."""

    def __init__(self) -> None:
        self.first = 0
        self._features: FrameFeatures | None = None

    @property
    def end(self) -> int:
        """Number of the frame that comes next."""
        return self.first + (0 if self._features is None else len(self._features))

    def add(self, features: FrameFeatures) -> None:
        """Append the newest frames."""
        known = [] if self._features is None else [self._features]
        self._features = FrameFeatures.cat([*known, features])

    def since(self, frame: int) -> FrameFeatures:
        """All frames from a number on."""
        assert self._features is not None
        return self._features[frame - self.first :]

    def at(self, frames: Sequence[int]) -> FrameFeatures:
        """Some frames by their numbers, repeats allowed."""
        assert self._features is not None
        places = torch.tensor(frames, device=self._features.coarse.device) - self.first
        return self._features[places]

    def forget(self, before: int) -> None:
        """Drop the frames before a number."""
        if self._features is not None and before > self.first:
            self._features = self._features[before - self.first :]
            self.first = before


@dataclass(frozen=True)
class Said:
    """What is said of one frame for each of E sentences.

    Attributes:
        masks: (E, H, W) bool.
        scores: (E,) float32 highest object score of the tracks; NaN where there is none.
        relevance: (E,) float32 probability when the frame was routed.
        routes: E of language, propagated, empty.
    """

    masks: np.ndarray
    scores: np.ndarray
    relevance: np.ndarray
    routes: tuple[str, ...]


class SentenceGroup:
    """E sentences that run as one batch.

    Args:
        model: on its device, in eval mode.
        text: of the sentences.
        finders: one a sentence.
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
        self._gate = config.object_gate and model.config.object_gate != "never"
        self._segmenter = Segmenter(model.backbone, model.config, gate=self._gate)
        self._most_read = max(model.config.memory_frames, model.backbone.max_pointers)
        self.sentences = [
            SentenceTracks(
                row,
                per_moment=model.config.per_moment_banks,
                most=config.online_moments,
                longest_break=finder.longest_break,
            )
            for row, finder in enumerate(finders)
        ]
        self._routed = 0
        self._final = 0  # frames before this one look the same whatever follows
        self._tokens: Tensor | None = None  # (E, w, d) one token a frame, from `_tokens_first` on
        self._tokens_first = 0
        self._guided: dict[int, np.ndarray] = {}
        self._relevance: dict[int, np.ndarray] = {}

    @property
    def oldest_needed(self) -> int:
        """The oldest frame whose features a later look or route will read."""
        return max(0, min(self._final, self._routed) - self._model.adapter.halo)

    def route(self, window: FrameWindow, until: int) -> None:
        """Look at the newest frames, decide on those before ``until``, answer the guided ones."""
        if until == self._routed:
            return
        first = self.oldest_needed
        view = self._look(window, first)
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
            self._guide(frame, window, view, first)

    def answer(self, window: FrameWindow, start: int, end: int) -> list[Said]:
        """What is said of the frames from ``start`` to ``end``, which are all routed."""
        self._propagate(window, start, end)
        said = [self._say(frame) for frame in range(start, end)]
        for sentence in self.sentences:
            sentence.advance(end)
        for track in self._tracks():
            track.forget(np.empty(0), self._most_read, writing=True)
        return said

    def _look(self, window: FrameWindow, first: int) -> ClipView:
        """The adapter over the frames from ``first`` on; renews the frame tokens."""
        halo = self._model.adapter.halo
        features = window.since(first)
        device = features.coarse.device
        times = torch.arange(first, window.end, device=device).unsqueeze(0)
        frames = torch.arange(len(features), device=device).unsqueeze(0)
        view = self._model.adapter.look(features, frames, times, self._text)
        # Before it the window's edge shows, unless that is the beginning of the stream.
        fresh = max(self._tokens_first, first + halo if first else 0)
        parts = [view.frame[:, fresh - first :]]
        if self._tokens is not None:
            parts.insert(0, self._tokens[:, : fresh - self._tokens_first])
        self._tokens = torch.cat(parts, dim=1)
        self._final = max(0, window.end - halo)
        return view

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

    def _guide(self, frame: int, window: FrameWindow, view: ClipView, first: int) -> None:
        """The language path of one frame, for the sentences that it is relevant to."""
        tracks: list[LiveTrack] = []
        items: list[Item] = []
        for row in np.flatnonzero(self._guided[frame]):
            pending = min(self._guided)
            tracks.append(self.sentences[row].guiding(frame, pending))
            items.append(Item(len(items), int(row), frame - first))
        if items:
            model = self._model
            multimask = model.config.multimask
            path = AdapterPath(model.backbone, model.adapter, view, self._text, multimask=multimask)
            self._run(tracks, items, window, path, first)

    def _propagate(self, window: FrameWindow, start: int, end: int) -> None:
        """The language-agnostic path of all tracks for the frames that they did not guide."""
        tracks = self._tracks()
        items = [
            Item(index, track.expression, frame - start)
            for frame in range(start, end)
            for index, track in enumerate(tracks)
            if frame not in track.answers
        ]
        if self._model.config.irrelevant_memory == "none":
            batches = [items] if items else []
        else:  # what a frame writes, the next one reads
            by_frame: dict[int, list[Item]] = {}
            for item in items:
                by_frame.setdefault(item.position, []).append(item)
            batches = list(by_frame.values())
        for batch in batches:
            self._run(tracks, batch, window, None, start)

    def _run(
        self,
        tracks: Sequence[LiveTrack],
        items: Sequence[Item],
        window: FrameWindow,
        language: AdapterPath | None,
        origin: int,
    ) -> None:
        """A step of the segmenter; the items' positions count from ``origin``."""
        length = window.end - origin
        times = np.broadcast_to(np.arange(origin, window.end), (len(self._finders), length))

        def fetch(asked: Sequence[Item]) -> FrameFeatures:
            return window.at([origin + item.position for item in asked])

        def keep(answered: Sequence[Item], decoded: Decoded, guided: bool) -> None:
            keep_answers(tracks, answered, decoded, origin)

        self._segmenter.step(items, tracks, times, fetch, language, keep)

    def _tracks(self) -> list[LiveTrack]:
        return [track for sentence in self.sentences for track in sentence.tracks]

    def _say(self, frame: int) -> Said:
        """Unite the tracks of each sentence."""
        count = len(self._finders)
        masks = np.zeros((count, *self._size), bool)
        scores = np.full(count, np.nan, np.float32)
        guided, relevance = self._guided.pop(frame), self._relevance.pop(frame)
        for track in self._tracks():
            row = track.expression
            logits, score = track.answers[frame]
            scores[row] = np.fmax(scores[row], score)
            if score > 0 or not self._gate:
                masks[row] |= enlarge(logits.unsqueeze(0), *self._size)[0].cpu().numpy()
        routes = tuple(
            LANGUAGE if here else (PROPAGATED if sentence.tracks else EMPTY)
            for here, sentence in zip(guided, self.sentences, strict=True)
        )
        return Said(masks, scores, relevance, routes)
