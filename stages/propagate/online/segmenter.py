"""Causal inference: frames come once, in order, and masks leave a bounded number of frames later.

Only a window of frames is in memory, and per sentence a few bounded memory banks, so a stream may
run forever. docs/inference.md describes what is decided when.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stages.core.model import budgets
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.device import autocast
from stages.core.model.text import Sentence, TextBatch
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.routing import MomentFinder, Schedule, route_reach
from stages.propagate.online.sentence_group import FrameWindow, SentenceGroup


class OnlineSegmenter:
    """The state of one stream.

    Args:
        model: on its device, in eval mode.
        sentences: embeddings of the E sentences.
        finders: one per sentence; they route its frames.
        config: delay, routing and limits.
        size: (H, W) of the masks.
        device: of the model.
        precision: fp32 or bf16.

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
        self._left = 0
        self._groups = []
        most = config.expressions_per_batch or budgets.MOST_EXPRESSIONS
        with autocast(precision, device):
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
        """Moments whose memory was replaced by that of later ones."""
        return sum(tracks.forgotten for group in self._groups for tracks in group.sentences)

    @property
    def found(self) -> list[bool]:
        """Per sentence, whether a moment has begun."""
        return [bool(tracks.tracks) for group in self._groups for tracks in group.sentences]

    def push(self, pixels: Tensor) -> list[FrameResult]:
        """Take the next frame, uint8 (3, S, S); return the results that are final, in order."""
        self._waiting.append(pixels)
        if len(self._waiting) < self.schedule.step:
            return []
        return self._step(ended=False)

    def finish(self) -> list[FrameResult]:
        """End the stream; return all remaining results."""
        return self._step(ended=True)

    @torch.inference_mode()
    def _step(self, *, ended: bool) -> list[FrameResult]:
        with autocast(self._precision, self._device):
            for features in self._encode():
                self._window.add(features)
            arrived = self._window.end
            routed = arrived if ended else self.schedule.routed(arrived)
            finished = arrived if ended else self.schedule.finished(arrived)
            for group in self._groups:
                group.route(self._window, routed)
            start, self._left = self._left, finished
            results = [group.finish(self._window, start, finished) for group in self._groups]
            needed = min(group.oldest_needed for group in self._groups)
            self._window.forget(min(needed, finished))
        return [FrameResult.join(parts) for parts in zip(*results, strict=True)]

    def _encode(self) -> list[FrameFeatures]:
        """Features of the waiting frames."""
        waiting, self._waiting = self._waiting, []
        chunks = (waiting[i : i + self._chunk] for i in range(0, len(waiting), self._chunk))
        return [self._model.encode_frames(torch.stack(chunk).to(self._device)) for chunk in chunks]
