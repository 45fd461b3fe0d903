"""The adapter over a whole video, block by block, as if it saw all frames at once.

A frame's tokens depend on ``Adapter.halo`` frames on each side; a block is read with its halo and
then cut back to itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from stages.core.model.adapter import EncodedText
from stages.core.model.backbones.backbone import Decoded
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import MemoryTokens
from stages.core.model.segmenter import Item, segment
from stages.core.model.tgl import TglModel
from stages.propagate.frames import VideoFeatures

BLOCK = 32
"""Fewest frames whose tokens are made together."""
BLOCK_BYTES = 2_000_000
"""One sentence's tokens of a block: small frames come in larger blocks, which read less halo."""
READ_BYTES = 8_000_000
"""One layer's values while sentences read a block together."""
FLOAT_BYTES = 4
MASK_TO_COARSE = 4
"""The decoder's masks have a stride of 4, the coarse features one of 16."""
RELEVANCE_BLOCK = 256
"""Frames whose relevance is read together: attention over time is quadratic in them."""


class VideoViews:
    """What the adapter sees of a video for E sentences.

    Args:
        model: whose adapter.
        features: of the video.
        text: of the E sentences.
        budget: bytes that tokens may take; at least one block is kept.
    """

    def __init__(self, model: TglModel, features: VideoFeatures, text: EncodedText, budget: float):
        self.text = text
        self._adapter = model.adapter
        self._features = features
        self._budget = budget
        self._kept: OrderedDict[int, Tensor] = OrderedDict()
        self._frame: Tensor | None = None
        places = (model.backbone.mask_size // MASK_TO_COARSE) ** 2
        self._frame_bytes = model.config.adapter_width * places * FLOAT_BYTES  # of one sentence
        self._block = max(BLOCK, BLOCK_BYTES // self._frame_bytes)

    @property
    def resident(self) -> bool:
        """All tokens fit the budget together."""
        sentences = len(self.text.context)
        return sentences * len(self._features) * self._frame_bytes <= self._budget

    def frame_tokens(self) -> Tensor:
        """(E, T, d): one token a frame; reads the whole video on the first call."""
        if self._frame is None:
            blocks = range(0, len(self._features), self._block)
            self._frame = torch.cat([self._look(start // self._block) for start in blocks], dim=1)
        return self._frame

    def relevance(self) -> Tensor:
        """(E, T) logits."""
        frame = self.frame_tokens()
        total, halo = frame.shape[1], self._adapter.config.relevance_radius
        parts = []
        for first in range(0, total, RELEVANCE_BLOCK):
            start, last = max(0, first - halo), min(total, first + RELEVANCE_BLOCK)
            end = min(total, last + halo)
            times = torch.arange(start, end, device=frame.device).unsqueeze(0)
            logits = self._adapter.relevance(frame[:, start:end], times)
            parts.append(logits[:, first - start : last - start])
        return torch.cat(parts, dim=1)

    def tokens(self, rows: Sequence[int], frames: Sequence[int]) -> Tensor:
        """(B, d, h, h) tokens of B pairs of sentence and frame."""
        return torch.stack(
            [
                self._tokens(frame // self._block)[row, frame % self._block]
                for row, frame in zip(rows, frames, strict=True)
            ]
        )

    def _tokens(self, block: int) -> Tensor:
        """(E, n, d, h, h) tokens of a block."""
        if block not in self._kept:
            self._look(block)
        self._kept.move_to_end(block)
        return self._kept[block]

    def _look(self, block: int) -> Tensor:
        """Read a block with its halo, keep its tokens, and give its frame tokens (E, n, d)."""
        total, halo = len(self._features), self._adapter.halo
        first, last = block * self._block, min((block + 1) * self._block, total)
        start, end = max(0, first - halo), min(total, last + halo)
        stem = self._stem(start, end)
        times = torch.arange(start, end, device=stem.device).unsqueeze(0)
        inside = slice(first - start, last - start)
        tokens, frame = [], []
        for text in self.text.split(max(1, READ_BYTES // ((end - start) * self._frame_bytes))):
            view = self._adapter.read(stem, times, text)
            # A copy: a view would keep the halo alive.
            tokens.append(view.tokens[:, inside].clone())
            frame.append(view.frame[:, inside])
        self._kept[block] = tokens[0] if len(tokens) == 1 else torch.cat(tokens)
        total_bytes = sum(tokens.nbytes for tokens in self._kept.values())
        while total_bytes > self._budget and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total_bytes -= oldest.nbytes
        return torch.cat(frame)

    def _stem(self, start: int, end: int) -> Tensor:
        """(1, n, d, h, h): what the adapter says of frames without any sentence."""
        features = self._features.of(range(start, end))
        times = torch.arange(start, end, device=features.coarse.device).unsqueeze(0)
        return self._adapter.stem(features, times - start, times)


class VideoAdapterPath:
    """The trained adapter as the language path of a whole video; see ``LanguagePath``.

    Args:
        model: trained.
        views: of the video and its sentences.
    """

    def __init__(self, model: TglModel, views: VideoViews):
        self._model = model
        self._views = views

    def answer(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """Masks of B guided items."""
        rows = [item.expression for item in items]
        places = [item.position for item in items]
        views, model = self._views, self._model
        guidance = model.adapter.guide(
            views.tokens(rows, places),
            views.frame_tokens()[rows, places],
            views.text.context[rows],
            views.text.motion[rows],
        )
        return segment(
            model.backbone,
            guidance.added_to(features),
            memory,
            multimask=model.config.multimask,
            prompts=guidance.prompts,
        )
