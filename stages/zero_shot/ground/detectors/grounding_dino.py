"""Grounding DINO and MM Grounding DINO (also LLMDet): a caption per sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.image_transforms import center_to_corners_format

from stages.zero_shot.ground.detectors.detector import (
    EVERY_SCORE,
    Detector,
    Loaded,
    Proposals,
    Tensors,
)

_NO_WORDS = 1.0
"""A text threshold that no probability exceeds: the words of a box are not looked for."""


class GroundingDinoDetector(Detector):
    """Image and caption are fused in the encoder: sentences share only the image backbone.

    The backbone takes a fifth of the time of a pair (Swin-T, 480 x 854).
    """

    _images = ("pixel_values", "pixel_mask")

    def __init__(self, loaded: Loaded):
        super().__init__(loaded)
        self._backbone = SharedBackbone(self._model.model.backbone)
        self._model.model.backbone = self._backbone

    def _sizes(self, image_size: int) -> Mapping[str, Any]:
        """The longer side keeps its limit in proportion."""
        own = self._loaded.processor.image_processor.size
        longest = image_size * own["longest_edge"] // own["shortest_edge"]
        return {"size": {"shortest_edge": image_size, "longest_edge": longest}}

    @property
    def _most_tokens(self) -> int:
        config = self._model.config
        return min(config.max_text_len, config.text_config.max_position_embeddings)

    def _caption(self, sentence: str) -> str:
        """In lower case with a full stop, as in training."""
        return f"{sentence.strip().lower().rstrip('.').rstrip()}."

    def _encode(self, tokens: Tensors) -> Tensors:
        return tokens

    def _look(self, pixels: Tensors) -> Tensors:
        self._backbone.encode(pixels["pixel_values"], pixels["pixel_mask"])
        return pixels

    def _propose(self, encoded: Tensors, frames: Tensor, text: Tensors) -> Proposals:
        self._backbone.rows = frames
        outputs = self._model(
            pixel_values=encoded["pixel_values"][frames],
            pixel_mask=encoded["pixel_mask"][frames],
            **text,
        )
        return Proposals(
            order=outputs.logits.amax(dim=-1),
            corners=center_to_corners_format(outputs.pred_boxes),
            outputs={"logits": outputs.logits, "pred_boxes": outputs.pred_boxes},
            whole={"input_ids": text["input_ids"]},
        )

    def _post_process(
        self, outputs: Any, sizes: Sequence[tuple[int, int]]
    ) -> Sequence[Mapping[str, Any]]:
        return self._loaded.processor.post_process_grounded_object_detection(
            outputs, threshold=EVERY_SCORE, text_threshold=_NO_WORDS, target_sizes=list(sizes)
        )


class SharedBackbone(nn.Module):
    """Stands in for a model's image backbone, and gives it features that were made before.

    The model then runs unchanged, but for the backbone's work.

    Args:
        backbone: of a Grounding DINO.

    Attributes:
        rows: int64 (P,) into the encoded frames: the frame of each item of the model's batch.
    """

    rows: Tensor

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self._maps: list[tuple[Tensor, Tensor]] = []
        self._positions: list[Tensor] = []

    @property
    def position_embedding(self) -> Any:
        """As of the backbone: the model asks it for the level that it adds itself."""
        return self.backbone.position_embedding

    def encode(self, pixels: Tensor, mask: Tensor) -> None:
        """Encode B frames, (B, 3, H, W) with their mask (B, H, W), and keep the result."""
        self._maps, self._positions = self.backbone(pixels, mask)

    def forward(
        self, pixels: Tensor, mask: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        """The kept maps with their masks, and position encodings, P first in every shape."""
        if len(pixels) != len(self.rows):
            raise ValueError(f"{len(pixels)} frames for {len(self.rows)} rows")
        maps = [(found[self.rows], where[self.rows]) for found, where in self._maps]
        # A sine embedding does not depend on the frame and may have a batch of one.
        positions = [
            torch.broadcast_to(found, (len(self._maps[0][0]), *found.shape[1:]))[self.rows]
            for found in self._positions
        ]
        return maps, positions
