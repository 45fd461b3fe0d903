"""OWLv2: boxes of a frame and vectors of sentences are made apart, and compared in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from transformers.image_transforms import center_to_corners_format

from schemas.errors import ConfigError
from stages.zero_shot.ground.detectors.detector import EVERY_SCORE, Detector, Proposals, Tensors


class Owlv2Detector(Detector):
    """A frame is encoded once, and so is a sentence; a pair costs only their comparison."""

    _padding = "max_length"  # as transformers' processor does

    @property
    def _most_tokens(self) -> int:
        return int(self._model.config.text_config.max_position_embeddings)

    def _sizes(self, image_size: int) -> Mapping[str, Any]:
        """Frames are padded to a square; position embeddings are interpolated.

        Raises:
            ConfigError: not a multiple of the patches.
        """
        patch = int(self._loaded.model.config.vision_config.patch_size)
        if image_size % patch:
            raise ConfigError(
                f"{image_size} is not a multiple of the model's patches of {patch} pixels",
                where="--image-size",
                hint=f"name {max(1, image_size // patch) * patch}",
            )
        return {"size": {"height": image_size, "width": image_size}}

    def _extent(self, size: tuple[int, int]) -> tuple[float, float]:
        """Frames are padded to a square at the right and the bottom."""
        return size[1] / max(size), size[0] / max(size)

    def _encode(self, tokens: Tensors) -> Tensors:
        vectors = self._model.owlv2.get_text_features(**tokens).pooler_output  # (E, D)
        # The model normalises its own vectors to unit length before it compares them.
        return {
            "vectors": vectors / vectors.norm(dim=-1, keepdim=True),
            "given": tokens["input_ids"][:, 0] > 0,
        }

    def _look(self, pixels: Tensors) -> tuple[Tensor, Tensor]:
        """Features (B, N, C) and boxes (B, N, 4) of the frames' patches."""
        resized = bool(self._sized)
        grid, _ = self._model.image_embedder(pixels["pixel_values"], resized)  # (B, h, w, C)
        features = grid.flatten(1, 2)  # (B, N, C)
        return features, self._model.box_predictor(features, grid, resized)

    def _propose(self, encoded: Any, frames: Tensor, text: Tensors) -> Proposals:
        features, boxes = encoded
        logits, _ = self._model.class_predictor(
            features[frames], text["vectors"][:, None], text["given"][:, None]
        )  # (P, N, 1)
        boxes = boxes[frames]
        return Proposals(
            order=logits[..., 0],
            corners=center_to_corners_format(boxes),
            outputs={"logits": logits, "pred_boxes": boxes},
            whole={},
        )

    def _post_process(
        self, outputs: Any, sizes: Sequence[tuple[int, int]]
    ) -> Sequence[Mapping[str, Any]]:
        return self._loaded.processor.post_process_grounded_object_detection(
            outputs, threshold=EVERY_SCORE, target_sizes=list(sizes)
        )
