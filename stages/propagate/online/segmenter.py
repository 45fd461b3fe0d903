"""Causal inference: frames come once, in order, and masks leave a bounded number of frames later.

Only a window of frames is in memory, and per sentence a few bounded memory banks, so a stream may
last for ever. docs/inference.md tells what is decided when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.preprocess import normalise
from stages.core.model.device import arithmetic
from stages.core.model.text import Sentence, TextBatch
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.online.routing import MomentFinder, Schedule, route_reach
from stages.propagate.online.sentence_group import FrameWindow, Said, SentenceGroup

MOST_SENTENCES = 16
"""Sentences that run as one batch."""


@dataclass(frozen=True)
class FrameAnswer(Said):
    """What is said of a frame for all sentences; see ``Said``.

    Attributes:
        frame: its number in the stream, from 0.
    """

    frame: int


class OnlineSegmenter:
    """A stream's state.

    Args:
        model: on its device, in eval mode, configured as ``config`` wants.
        sentences: embeddings of the E sentences.
        finders: one a sentence; what routes its frames.
        config: delay, routing and limits.
        size: (H, W) of the masks.
        device: of the model.
        precision: of the network's arithmetic.

    Raises:
        SchemaMismatch: the embeddings have another width than the model was made for.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: TglModel,
        sentences: Sequence[Sentence],
        finders: Sequence[MomentFinder],
        config: PropagateConfig,
        *,
        size: tuple[int, int],
        device: torch.device,
        precision: str,
    ):
        self.schedule = Schedule.of(config.delay, route_reach(model.adapter, config))
        self._model = model
        self._device = device
        self._precision = precision
        self._chunk = config.chunk_frames
        self._window = FrameWindow()
        self._waiting: list[Tensor] = []
        self._answered = 0
        self._groups = []
        most = config.expressions_per_batch or MOST_SENTENCES
        with arithmetic(precision, device):
            for start in range(0, len(sentences), most):
                part = slice(start, start + most)
                text = TextBatch.of(sentences[part]).to(device)
                text.check_dim(model.text_dim)
                self._groups.append(SentenceGroup(model, text, finders[part], config, size))

    @property
    def side(self) -> int:
        """S, the side of the frames that :meth:`push` takes."""
        return self._model.backbone.image_size

    @property
    def forgotten(self) -> int:
        """Moments whose memory made room for later ones."""
        return sum(tracks.forgotten for group in self._groups for tracks in group.sentences)

    @property
    def found(self) -> list[bool]:
        """For each sentence, whether a moment has begun."""
        return [bool(tracks.tracks) for group in self._groups for tracks in group.sentences]

    def push(self, pixels: Tensor) -> list[FrameAnswer]:
        """Take the next frame, uint8 (3, S, S); the answers that leave now, in order."""
        self._waiting.append(pixels)
        if len(self._waiting) < self.schedule.step:
            return []
        return self._step(ended=False)

    def finish(self) -> list[FrameAnswer]:
        """The stream is over; all answers that are left."""
        return self._step(ended=True)

    @torch.inference_mode()
    def _step(self, *, ended: bool) -> list[FrameAnswer]:
        with arithmetic(self._precision, self._device):
            for features in self._encode():
                self._window.add(features)
            seen = self._window.end
            routed = seen if ended else self.schedule.routed(seen)
            answered = seen if ended else self.schedule.answered(seen)
            for group in self._groups:
                group.route(self._window, routed)
            start, self._answered = self._answered, answered
            said = [group.answer(self._window, start, answered) for group in self._groups]
            needed = min(group.oldest_needed for group in self._groups)
            self._window.forget(min(needed, answered))
        return [
            _joined(start + place, parts) for place, parts in enumerate(zip(*said, strict=True))
        ]

    def _encode(self) -> list[FrameFeatures]:
        """Features of the waiting frames."""
        waiting, self._waiting = self._waiting, []
        chunks = (waiting[i : i + self._chunk] for i in range(0, len(waiting), self._chunk))
        return [
            self._model.encode(normalise(torch.stack(chunk).to(self._device))) for chunk in chunks
        ]


def _joined(frame: int, parts: Sequence[Said]) -> FrameAnswer:
    """One frame's answers of all groups."""
    return FrameAnswer(
        masks=np.concatenate([said.masks for said in parts]),
        scores=np.concatenate([said.scores for said in parts]),
        relevance=np.concatenate([said.relevance for said in parts]),
        routes=tuple(route for said in parts for route in said.routes),
        frame=frame,
    )
