"""The adapter's tokens of a whole video, made block by block, equal to those of one long clip.

A frame's tokens depend on ``Adapter.halo`` frames on each side; a block is encoded with its halo
and then cut back to itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from stages.core.engine.batches import BatchSize
from stages.core.model import budgets
from stages.core.model.adapter.adapter import EncodedText
from stages.core.model.backbones.backbone import MASK_TO_COARSE
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import FrameSource


class AdapterCache:
    """A ``TokenSource``: the adapter's tokens of a video for E sentences.

    Args:
        model: with the adapter.
        features: of the video.
        text: of the E sentences.
        budget: bytes that tokens may take; at least one block is kept.

    Attributes:
        text, features: as given.
    """

    def __init__(self, model: TglModel, features: FrameSource, text: EncodedText, budget: float):
        self.text = text
        self._adapter = model.adapter
        self.features = features
        self._budget = budget
        self._kept: OrderedDict[int, Tensor] = OrderedDict()
        self._heat: dict[int, Tensor] = {}
        self._frame: Tensor | None = None
        self._sentences = BatchSize(len(text.context))
        places = (model.backbone.mask_size // MASK_TO_COARSE) ** 2
        # Of one sentence:
        self._frame_bytes = model.config.adapter_width * places * budgets.FLOAT_BYTES
        self._block = max(budgets.BLOCK_FRAMES, budgets.BLOCK_BYTES // self._frame_bytes)

    @property
    def resident(self) -> bool:
        """All tokens fit the budget together."""
        sentences = len(self.text.context)
        return sentences * len(self.features) * self._frame_bytes <= self._budget

    def frame_tokens(self) -> Tensor:
        """(E, T, d): one token per frame; encodes the whole video on the first call."""
        if self._frame is None:
            blocks = range(-(-len(self.features) // self._block))
            self._frame = torch.cat([self._encode(block) for block in blocks], dim=1)
        return self._frame

    def relevance(self) -> Tensor:
        """(E, T) logits."""
        frame = self.frame_tokens()
        total, halo = frame.shape[1], self._adapter.config.relevance_radius
        parts = []
        for first in range(0, total, budgets.RELEVANCE_FRAMES):
            start, last = max(0, first - halo), min(total, first + budgets.RELEVANCE_FRAMES)
            end = min(total, last + halo)
            times = torch.arange(start, end, device=frame.device).unsqueeze(0)
            logits = self._adapter.relevance(frame[:, start:end], times)
            parts.append(logits[:, first - start : last - start])
        return torch.cat(parts, dim=1)

    def blocks(self, rows: slice) -> Iterator[Tensor]:
        """Tokens (E', n, d, h, h) of some sentences, block by block in order of time."""
        for block in range(-(-len(self.features) // self._block)):
            yield self._tokens(block)[rows]

    def at(self, rows: Sequence[int], positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens (B, d, h, h) and frame tokens (B, d) of B pairs of sentence and frame."""
        tokens = [
            self._tokens(frame // self._block)[row, frame % self._block].permute(1, 2, 0)
            for row, frame in zip(rows, positions, strict=True)
        ]  # (h, h, d) each: channels lie together in memory, and stay so
        stacked = torch.stack(tokens).permute(0, 3, 1, 2)
        return stacked, self.frame_tokens()[rows, positions]

    def heat_at(self, rows: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Logits (B, h, h) of the target map of B pairs of sentence and frame.

        They are kept, as the tokens do not give them: the times between frames are mixed in later.
        """
        logits = []
        for row, frame in zip(rows, positions, strict=True):
            self._tokens(frame // self._block)
            logits.append(self._heat[frame // self._block][row, frame % self._block])
        return torch.stack(logits)

    def _tokens(self, block: int) -> Tensor:
        """(E, n, d, h, h) tokens of a block."""
        if block not in self._kept:
            self._encode(block)
        self._kept.move_to_end(block)
        return self._kept[block]

    def _encode(self, block: int) -> Tensor:
        """Encode a block with its halo, keep its tokens, and return its frame tokens (E, n, d)."""
        total, halo = len(self.features), self._adapter.halo
        first, last = block * self._block, min((block + 1) * self._block, total)
        start, end = max(0, first - halo), min(total, last + halo)
        embedded = self._embed(start, end)
        times = torch.arange(start, end, device=embedded.device).unsqueeze(0)
        inside = slice(first - start, last - start)
        tokens, heat, frame = [], [], []

        def fuse(rows: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
            text = self.text[rows[0] : rows[-1] + 1]
            fused = self._adapter.fuse_text(embedded, times, text)
            parts = fused.tokens, fused.heatmap, fused.frame
            if inside == slice(0, end - start):
                return parts
            # A copy: a view would keep the halo in memory.
            own, heat, frame = (part[:, inside].clone() for part in parts)
            return own, heat, frame

        together = max(1, budgets.LAYER_BYTES // ((end - start) * self._frame_bytes))
        every = range(len(self.text.context))
        for _, (own, own_heat, own_frame) in self._sentences.run(every, fuse, most=together):
            tokens.append(own)
            heat.append(own_heat)
            frame.append(own_frame)
        self._kept[block] = _joined(tokens)
        self._heat[block] = torch.cat(heat)
        total_bytes = sum(tokens.nbytes for tokens in self._kept.values())
        while total_bytes > self._budget and len(self._kept) > 1:
            gone, oldest = self._kept.popitem(last=False)
            del self._heat[gone]
            total_bytes -= oldest.nbytes
        return torch.cat(frame)

    def _embed(self, start: int, end: int) -> Tensor:
        """(1, n, d, h, h) from the frames alone, without text."""
        features = self.features.of(range(start, end))
        times = torch.arange(start, end, device=features.coarse.device).unsqueeze(0)
        return self._adapter.embed_frames(features, times - start, times)


def _joined(parts: list[Tensor]) -> Tensor:
    """Tokens (E, n, d, h, h) of sentences (E', n, d, h, h), which lie place by place in memory."""
    if len(parts) == 1:
        return parts[0]
    places = torch.cat([part.permute(0, 1, 3, 4, 2) for part in parts])
    return places.permute(0, 1, 4, 2, 3)
