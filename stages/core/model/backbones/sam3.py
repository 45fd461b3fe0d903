"""SAM 3's tracker behind the interface of the backbone.

SAM 3 (arXiv 2511.16719) tracks as SAM 2 does, on features of another image encoder: a plain vision
transformer of stride 14 whose last layer a small neck turns into the three levels of the decoder.
SAM 3's detector reads the same transformer through a neck of its own, so one pass of it can serve
both.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from schemas.errors import ConfigError
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.wrapped import LEVEL_SCALES, NUM_LEVELS

HALF = (0.5, 0.5, 0.5)
GREY = 127.5
"""The mean of a byte, and what black and white differ from it."""


def sam3_pixels(frames: Tensor) -> Tensor:
    """Bytes (N, 3, S, S) to float32 from -1 to 1, to the bit as transformers' image processor.

    The processor joins the division by 255 and the normalisation into one division; in two steps,
    last bits differ. Only so is the encoder's output the same for detector and tracker.
    """
    return (frames.float() - GREY) / GREY


class Sam3Backbone(Backbone):
    """A ``Sam3TrackerVideoModel``; everything after the image encoder is as in SAM 2.

    Args:
        sam: the model of transformers.

    Raises:
        ConfigError: its neck does not give the decoder's three levels.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = (
        "vision_encoder.backbone",
        *Backbone.compiled_parts[1:],
    )
    pixel_mean: ClassVar[tuple[float, float, float]] = HALF
    pixel_std: ClassVar[tuple[float, float, float]] = HALF

    @staticmethod
    def _check_levels(vision: Any) -> None:
        scales = tuple(vision.scale_factors[:NUM_LEVELS])  # the neck may give more
        if scales != LEVEL_SCALES:
            raise ConfigError(
                f"the image encoder's scale_factors begin with {list(scales)}, "
                f"expected {list(LEVEL_SCALES)}"
            )

    @classmethod
    def size_step(cls, config: Any) -> int:
        """See ``VideoModel``: whole patches; windows at the edge are padded."""
        return config.vision_config.backbone_config.patch_size

    @staticmethod
    def _set_size(config: Any, size: int) -> None:
        config.image_size = size  # transformers' own class writes it everywhere

    @property
    def hidden_shape(self) -> tuple[int, int]:
        """(h * h, D): shape of the transformer's output for one frame."""
        h, w = self.sam.prompt_encoder.image_embedding_size
        return h * w, self.sam.config.vision_config.backbone_config.hidden_size

    def encode_frames(self, frames: Tensor) -> FrameFeatures:
        """See ``Backbone``."""
        return self.encode_from(self.hidden_states(frames))

    def hidden_states(self, frames: Tensor) -> Tensor:
        """The transformer's output for frames, which detector and tracker have in common.

        Args:
            frames: uint8 (N, 3, S, S), see ``preprocess.resize_frames``.

        Returns:
            (N, h * h, D).

        Raises:
            ValueError: they have another type or shape.
        """
        if frames.dtype != torch.uint8:
            raise ValueError(f"frames are {frames.dtype}, expected torch.uint8")
        self._check_pixels(frames)
        return self.sam.vision_encoder.backbone(sam3_pixels(frames)).last_hidden_state

    def encode(self, pixels: Tensor) -> FrameFeatures:
        """See ``Backbone``; the neck's last level, which only the detector reads, is left out."""
        self._check_pixels(pixels)
        return self.encode_from(self.sam.vision_encoder.backbone(pixels).last_hidden_state)

    def encode_from(self, hidden: Tensor) -> FrameFeatures:
        """Features from the transformer's output, for example from the detector's pass.

        Args:
            hidden: (N, h * h, D), ``last_hidden_state`` of the image encoder for pixels of this
                model's size: of ``Sam3Model.get_vision_features`` with the same weights.

        Raises:
            ValueError: it has another number of places or another width.
        """
        h, w = self.sam.prompt_encoder.image_embedding_size
        places, width = self.hidden_shape
        if hidden.ndim != 3 or tuple(hidden.shape[1:]) != (places, width):
            raise ValueError(
                f"the image encoder's output has shape {tuple(hidden.shape)}, "
                f"expected (N, {places}, {width})"
            )
        image = hidden.view(len(hidden), h, w, width).permute(0, 3, 1, 2)  # (N, D, h, h)
        neck, decoder = self.sam.vision_encoder.neck, self.sam.mask_decoder
        fine, middle, coarse = (layer(image) for layer in neck.fpn_layers[:NUM_LEVELS])
        return FrameFeatures(
            fine=decoder.conv_s0(fine),
            middle=decoder.conv_s1(middle),
            coarse=coarse,
            position=neck.position_encoding(coarse[:1].shape, coarse.device, coarse.dtype),
        )
