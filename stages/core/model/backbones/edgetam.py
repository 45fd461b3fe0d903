"""EdgeTAM's video model behind the interface of the backbone.

EdgeTAM (arXiv 2501.07256) is SAM 2 with a small image encoder and a small memory. A perceiver
condenses each remembered frame into a fixed number of latents: the first ones ("1-D") attend to the
whole frame, each of the others ("2-D") to one window of it. Only the latter have a position in the
frame, and only they are rotated in memory attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from schemas.errors import ConfigError, MissingInput
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import repeat_rows
from stages.core.model.backbones.records import MemoryTokens

TIMM_ENCODER = "edgetam_vision_model"
"""``model_type`` of the image encoder whose network comes from timm."""


class EdgeTamBackbone(Backbone):
    """An ``EdgeTamVideoModel``; everything else is as in SAM 2.

    Args:
        sam: the model of transformers.

    Raises:
        ConfigError: its encoder does not give three levels, or its latents do not fit the frame.
    """

    trained_parts: ClassVar[tuple[str, ...]] = (*Backbone.trained_parts, "spatial_perceiver")

    @classmethod
    def require_packages(cls, document: Mapping[str, Any], where: Path) -> None:
        """Raise ``MissingInput`` where the image encoder is timm's and timm cannot be imported."""
        vision = document.get("vision_config")
        if not isinstance(vision, Mapping) or vision.get("model_type") != TIMM_ENCODER:
            return
        try:
            import timm  # noqa: F401
        except (ImportError, RuntimeError) as error:
            # RuntimeError: a torchvision that does not fit the installed torch.
            raise MissingInput(
                f"its image encoder needs the package timm ({error})",
                where=where,
                hint="pip install 'tgl[edgetam]'",
            ) from error

    def __init__(self, sam: Any):
        super().__init__(sam)
        _check_latents(sam)

    @classmethod
    def size_step(cls, config: Any) -> int:
        """See ``VideoModel``; the latents' windows must fit the features too."""
        windows = _root(config.perceiver_resampler_num_latents_2d)
        own = config.prompt_encoder_config.patch_size * windows
        return math.lcm(super().size_step(config), own)

    @property
    def latent_side(self) -> int:
        """n: the 2-D latents attend to n x n windows of a frame."""
        return _root(self.sam.spatial_perceiver.num_latents_2d)

    @property
    def memory_length(self) -> int:
        """N, the tokens of one remembered frame, whatever its size."""
        perceiver = self.sam.spatial_perceiver
        return perceiver.num_latents_1d + perceiver.num_latents_2d

    def attend(
        self, coarse: Tensor, position: Tensor, memory: MemoryTokens, rows: Tensor | None = None
    ) -> Tensor:
        """Memory attention, see ``Backbone``.

        Memories that several items read are copied: at 1024 px, projecting the few latents once
        more takes a sixtieth of the arithmetic of comparing them with a frame's 4096 places.
        """
        if memory.owner is not None:
            owner = list(memory.owner)
            own, places = memory.memory[:, owner], memory.position[:, owner]
            memory = MemoryTokens(own, places, memory.pointer_tokens)
        spatial = len(memory.memory) - memory.pointer_tokens
        return self._attend_own(
            repeat_rows(coarse, rows),
            position,
            memory,
            num_spatial_memory_tokens=spatial // self.memory_length,
        )

    def attend_ragged(
        self,
        coarse: Tensor,
        position: Tensor,
        memories: Sequence[MemoryTokens],
        rows: Tensor | None = None,
    ) -> Tensor:
        """Memory attention run by run, see ``Backbone``: latents have a rotation of their own."""
        runs = repeat_rows(coarse, rows).split([memory.memory.shape[1] for memory in memories])
        parts = [
            self.attend(own, position, memory) for own, memory in zip(runs, memories, strict=True)
        ]
        return torch.cat(parts)

    def memory_tokens(self, memory: Tensor) -> Tensor:
        """(B, N, Cm) latents of memories (B, Cm, h, w): the 1-D ones, then the 2-D ones.

        transformers' module condenses one memory per call; its layers are used here for B.
        """
        perceiver = self.sam.spatial_perceiver
        b, c, h, w = memory.shape
        latents = []
        if perceiver.num_latents_1d:
            places = super().memory_position((h, w), memory).expand(b, -1, -1)  # (B, hw, Cm)
            frames = memory.flatten(2).transpose(1, 2)  # (B, hw, Cm)
            latents.append(
                _condense(perceiver, perceiver.latents_1d.expand(b, -1, -1), frames, places)
            )
        n = self.latent_side
        windows = memory.view(b, c, n, h // n, n, w // n).permute(0, 2, 4, 3, 5, 1)
        windows = windows.reshape(b * n * n, -1, c)  # (B * n * n, places of a window, Cm)
        single = perceiver.latents_2d.repeat(b, 1).unsqueeze(1)  # (B * n * n, 1, Cm)
        latents.append(_condense(perceiver, single, windows, None).view(b, n * n, c))
        return torch.cat(latents, dim=1)

    def memory_position(self, side: tuple[int, int], like: Tensor) -> Tensor:
        """(N, Cm): zeros for 1-D latents, sine positions of the n x n windows for the others."""
        n = self.latent_side
        perceiver = self.sam.spatial_perceiver
        shape = torch.Size((1, self.memory_channels, n, n))
        windows = perceiver.positional_encoding(shape, like.device, like.dtype)  # (1, Cm, n, n)
        nowhere = like.new_zeros(perceiver.num_latents_1d, self.memory_channels)
        return torch.cat([nowhere, windows[0].flatten(1).transpose(0, 1)])


def _condense(perceiver: Any, latents: Tensor, memory: Tensor, places: Tensor | None) -> Tensor:
    """Condense memories (X, Z, Cm), with positions of the same shape, into latents (X, Y, Cm)."""
    for layer in perceiver.layers:
        latents = layer(latents, memory, places)
    return perceiver.layer_norm(latents)


def _root(count: int) -> int:
    return round(count**0.5)


def _check_latents(sam: Any) -> None:
    config = sam.config
    count = config.perceiver_resampler_num_latents_2d
    n = _root(count)
    grid = list(config.memory_attention_rope_k_sizes)
    if count < 1 or grid != [n, n] or n * n != count:
        raise ConfigError(
            f"{count} 2-D latents do not fit memory_attention_rope_k_sizes {grid}",
            hint="their number must be the square of the side of the grid",
        )
    sides = sam.prompt_encoder.image_embedding_size
    if any(side % n for side in sides):
        raise ConfigError(
            f"features of {sides[1]}x{sides[0]} cannot be cut into {n}x{n} windows",
            hint="choose an image size that gives a multiple of them",
        )
