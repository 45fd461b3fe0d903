"""The evidence of the training videos, gathered once and kept on disk.

The adapter does not change any more when the head is fitted, so what it sees in a video is
computed once, in all processes, and read again in every epoch.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.core.index.index import Expression, Index, Video
from stages.core.index.texts import TextStore
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.track_head.evidence import TrackEvidence
from stages.core.model.track_head.judging import collect
from stages.core.model.track_head.look import track_looks
from stages.core.model.video_features import FrameSource
from stages.train.track_head.examples import (
    LabelledTracks,
    Labels,
    as_they_are,
    labels,
    true_tracks,
    with_faults,
)
from stages.train.validation.videos import OpenVideo

MOST_FRAMES = 96
"""Frames of a video that are gathered; longer videos give a run of consecutive ones."""
MOST_SENTENCES = 12
FOREIGN_SENTENCES = 6
"""Sentences of other videos, which have no target here. Without them the head may go by the action
alone: in its own video a sentence's action is seldom done by an object of another kind."""
LARGEST_SIDE = 64
"""Side of the masks that are gathered."""
_SAVED = ("tokens", "cues", "geometry", "looks", "text", "sentences")


@dataclass(frozen=True)
class LabelledVideos:
    """An index with masks, its texts, and the features of its videos."""

    index: Index
    texts: TextStore
    open_video: OpenVideo


@dataclass(frozen=True)
class Example:
    """The tracks of a video with what the adapter sees in them, and what is true of them.

    Attributes:
        has_target: bool (E,), a sentence refers to an object, whether a track shows it or not.
    """

    evidence: TrackEvidence
    labels: Labels
    has_target: Tensor


_STREAM = 5
_TOKEN_BYTES = 1e9


@dataclass(frozen=True)
class Gatherer:
    """Gathers the examples of videos: one with the true tracks, one with faulty ones.

    Attributes:
        index: with masks.
        texts: of all its sentences.
        model: trained, in eval mode.
        seed: of the run.
    """

    index: Index
    texts: TextStore
    model: TglModel
    seed: int

    @torch.no_grad()
    def examples(self, video: Video, features: FrameSource) -> list[Example]:
        """The examples of a video; none without sentences or objects."""
        number = list(self.index.videos).index(video.video_id)
        rng = np.random.default_rng([self.seed, _STREAM, number])
        frames = _run(video.num_frames, rng)
        expressions = _some(self.index.expressions_of(video.video_id), rng)
        side = min(self.model.backbone.mask_size, LARGEST_SIDE)
        truth = true_tracks(self.index, video, frames, side, rng)
        if not expressions or not truth.anno_ids:
            return []
        device = next(self.model.adapter.parameters()).device
        sentences = [e.text for e in expressions] + self._foreign(video, rng)
        batch = TextBatch.of([self.texts.get(text) for text in sentences]).to(device)
        tokens = AdapterCache(
            self.model, _Part(features, frames), self.model.adapter.text(batch), _TOKEN_BYTES
        )
        views = (as_they_are(truth), with_faults(truth, rng))
        true = [
            labels(self.index, expressions, truth, tracks, frames).padded(len(sentences))
            for tracks in views
        ]
        has_target = true[0].match.any(dim=1)
        return [
            self._example(tokens, tracks, known, has_target)
            for tracks, known in zip(views, true, strict=True)
        ]

    def _foreign(self, video: Video, rng: np.random.Generator) -> list[str]:
        """Sentences of other videos that this one does not have."""
        own = {e.text for e in self.index.expressions_of(video.video_id)}
        others = self.index.expressions
        drawn = [others[int(n)].text for n in rng.integers(len(others), size=2 * FOREIGN_SENTENCES)]
        return [text for text in dict.fromkeys(drawn) if text not in own][:FOREIGN_SENTENCES]

    def _example(
        self, tokens: AdapterCache, tracks: LabelledTracks, known: Labels, has_target: Tensor
    ) -> Example:
        def masks_of(frames: Sequence[int]) -> Tensor:
            return tracks.masks[:, list(frames)]

        every = slice(0, len(known.match))
        looks = track_looks(tokens.features.of, masks_of, len(tokens.features))
        evidence = collect(self.model, tokens, every, masks_of, looks)
        return Example(evidence, known, has_target)


@dataclass(frozen=True)
class _Part:
    """Some frames of a source as a video of their own."""

    source: FrameSource
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """See ``FrameSource``."""
        return self.source.of([int(self.frames[frame]) for frame in frames])


def _run(total: int, rng: np.random.Generator) -> np.ndarray:
    """Consecutive frames, at most ``MOST_FRAMES``."""
    count = min(total, MOST_FRAMES)
    return int(rng.integers(total - count + 1)) + np.arange(count)


def _some(expressions: Sequence[Expression], rng: np.random.Generator) -> list[Expression]:
    """At most ``MOST_SENTENCES``, in their order."""
    if len(expressions) <= MOST_SENTENCES:
        return list(expressions)
    chosen = rng.choice(len(expressions), MOST_SENTENCES, replace=False)
    return [expressions[number] for number in sorted(chosen)]


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write the examples of a video under a temporary name, then move them."""
    rows = [
        {name: getattr(example.evidence, name).half().cpu() for name in _SAVED}
        | {"visible": example.evidence.visible.cpu()}
        | {name: getattr(example.labels, name) for name in ("match", "relevant", "known")}
        | {"has_target": example.has_target}
        for example in examples
    ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(rows, temporary)
    temporary.replace(path)


def load_examples(path: Path) -> list[Example] | None:
    """Read the examples of a video; None if they are missing or damaged."""
    try:
        rows = torch.load(path, map_location="cpu", weights_only=True)
        return [
            Example(
                TrackEvidence(**{n: row[n].float() for n in _SAVED}, visible=row["visible"]),
                Labels(**{name: row[name] for name in ("match", "relevant", "known")}),
                row["has_target"],
            )
            for row in rows
        ]
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        EOFError,
        pickle.UnpicklingError,
    ):
        return None
