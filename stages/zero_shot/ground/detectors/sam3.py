"""SAM 3: boxes and masks of a short noun phrase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor

from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.backbones.sam3 import sam3_pixels
from stages.zero_shot.ground.detectors.detector import EVERY_SCORE, Detector, Proposals, Tensors

_MOST_TOKENS = 32
"""The length that transformers' processor pads to, and the most that the model takes."""
_PROBE = (48, 70, 3)
"""Shape of the frame with which image processor and tracker are compared."""
_PIXEL_STEP = 1e-6
"""Far below a step of a byte: two ways to divide by 255 differ by less."""


class Sam3Detector(Detector):
    """A frame is encoded once for all sentences, and a sentence once for all frames."""

    _padding = "max_length"

    @property
    def _most_tokens(self) -> int:
        config = getattr(self._model.config, "detector_config", None) or self._model.config
        return min(_MOST_TOKENS, int(config.text_config.max_position_embeddings))

    def _encode(self, tokens: Tensors) -> Tensors:
        features = self._model.get_text_features(**tokens).pooler_output  # (E, L, C)
        return {"features": features, "attention_mask": tokens["attention_mask"]}

    def _look(self, pixels: Tensors) -> Any:
        return self._model.get_vision_features(pixels["pixel_values"])

    def shared_size(self) -> int | None:
        """See ``Detector``; the folder's image processor must do what the tracker does."""
        random = np.random.default_rng(0)
        frame = random.integers(0, 256, _PROBE, np.uint8)
        prepared = self.prepare(frame)["pixel_values"]  # (1, 3, S, S)
        side = prepared.shape[-1]
        own = sam3_pixels(resize_frames(frame[None], side))
        same = own.shape == prepared.shape and (own - prepared).abs().max() <= _PIXEL_STEP
        return side if same else None

    def _shared(self, encoded: Any) -> Tensor:
        hidden = encoded.last_hidden_state
        # Under autocast the residual stream is float32; the necks begin with convolutions, which
        # round it.
        return hidden.bfloat16() if self._loaded.precision == "bf16" else hidden

    def _propose(self, encoded: Any, frames: Tensor, text: Tensors) -> Proposals:
        outputs = self._model(
            vision_embeds=_of_frames(encoded, frames),
            text_embeds=SimpleNamespace(pooler_output=text["features"]),
            attention_mask=text["attention_mask"],
        )
        return Proposals(
            order=outputs.pred_logits,
            corners=outputs.pred_boxes,
            outputs={
                "pred_logits": outputs.pred_logits,
                "pred_boxes": outputs.pred_boxes,
                "pred_masks": outputs.pred_masks,
            },
            whole={"presence_logits": outputs.presence_logits.float()},
        )

    def _post_process(
        self, outputs: Any, sizes: Sequence[tuple[int, int]]
    ) -> Sequence[Mapping[str, Any]]:
        return self._loaded.processor.post_process_instance_segmentation(
            outputs, threshold=EVERY_SCORE, target_sizes=list(sizes)
        )


def _of_frames(encoded: Any, frames: Tensor) -> Any:
    """A vision output whose feature maps are repeated by frame, P first in every shape."""
    return replace(
        encoded,
        fpn_hidden_states=tuple(level[frames] for level in encoded.fpn_hidden_states),
        fpn_position_encoding=tuple(
            level.expand(len(encoded.fpn_hidden_states[0]), *level.shape[1:])[frames]
            for level in encoded.fpn_position_encoding
        ),
    )
