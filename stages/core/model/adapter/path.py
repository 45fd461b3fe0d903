"""The trained adapter as the language path of dual-path propagation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from stages.core.model.adapter.adapter import Adapter, EncodedText
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.records import Decoded, MemoryTokens
from stages.core.model.dual_path.tracks import Item


class TokenSource(Protocol):
    """The adapter's tokens of a clip, or of a video that is encoded in parts."""

    def at(self, rows: Sequence[int], positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens (B, d, h, h) and frame tokens (B, d) of B pairs of sentence and position."""


class AdapterPath:
    """A ``LanguagePath`` with residuals and prompts from the adapter.

    Args:
        backbone: the frozen and trained parts of SAM 2.
        adapter: trained.
        tokens: of the frames for the E sentences.
        text: of the E sentences.
        multimask: three candidates instead of one.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: Adapter,
        tokens: TokenSource,
        text: EncodedText,
        *,
        multimask: bool,
    ):
        self._backbone = backbone
        self._adapter = adapter
        self._tokens = tokens
        self._text = text
        self._multimask = multimask

    def segment(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """See ``LanguagePath``."""
        rows = [item.expression for item in items]
        tokens, frame = self._tokens.at(rows, [item.position for item in items])
        guidance = self._adapter.guide(
            tokens, frame, self._text.context[rows], self._text.motion[rows]
        )
        empty = self._backbone.no_prompt(len(items))
        return self._backbone.segment(
            guidance.added_to(features),
            memory,
            sparse=empty + guidance.prompts.unsqueeze(1),  # (B, 1, 2, C)
            multimask=self._multimask,
        )
