"""EdgeTAM's video model behind the interface of the backbone.

EdgeTAM (arXiv 2501.07256) is SAM 2 with a small image encoder and a small memory. A perceiver
condenses each remembered frame into a fixed number of latents: the first ones ("1-D") look at the
whole frame, each of the others ("2-D") at one window of it. Only the latter have a place in the
frame, and only they are rotated in memory attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from schemas.errors import ConfigError
from stages.core.model.backbones.backbone import Backbone


class EdgeTamBackbone(Backbone):
    """An ``EdgeTamVideoModel``; what is not here is as in SAM 2.

    Args:
        sam: the model; it stays reachable as ``.sam`` for saving.

    Raises:
        ConfigError: its encoder does not give three levels, or its latents do not fit the frame.
    """

    def __init__(self, sam: Any):
        super().__init__(sam)
        _check_latents(sam)

    @property
    def latent_side(self) -> int:
        """n: the 2-D latents look at n x n windows of a frame."""
        return _root(self.sam.spatial_perceiver.num_latents_2d)

    @property
    def memory_length(self) -> int:
        """N, the tokens of one remembered frame, whatever its size."""
        perceiver = self.sam.spatial_perceiver
        return perceiver.num_latents_1d + perceiver.num_latents_2d

    def attend(
        self,
        coarse: Tensor,
        position: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        pointer_tokens: int,
        *,
        owner: Sequence[int] | None = None,
    ) -> Tensor:
        """Memory attention; arguments as in ``Backbone``, with N tokens a remembered frame.

        Memories that several items read are copied: at 1024 px, projecting the few latents once
        more takes a sixtieth of the arithmetic of comparing them with a frame's 4096 places.
        """
        if owner is not None:
            memory, memory_position = memory[:, owner], memory_position[:, owner]
        return self._attend_own(
            coarse,
            position,
            memory,
            memory_position,
            pointer_tokens,
            num_spatial_memory_tokens=(len(memory) - pointer_tokens) // self.memory_length,
        )

    def memory_tokens(self, memory: Tensor) -> Tensor:
        """(B, N, Cm) latents of memories (B, Cm, h, w): the 1-D ones, then the 2-D ones.

        transformers' module condenses one memory a call; its layers are used here for B.
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
        """(N, Cm): none for 1-D latents, sine positions of the n x n windows for the others."""
        n = self.latent_side
        perceiver = self.sam.spatial_perceiver
        shape = torch.Size((1, self.memory_channels, n, n))
        windows = perceiver.positional_encoding(shape, like.device, like.dtype)  # (1, Cm, n, n)
        nowhere = like.new_zeros(perceiver.num_latents_1d, self.memory_channels)
        return torch.cat([nowhere, windows[0].flatten(1).transpose(0, 1)])


def _condense(perceiver: Any, latents: Tensor, seen: Tensor, places: Tensor | None) -> Tensor:
    """What latents (X, Y, Cm) become that look at features (X, Z, Cm) with places alike."""
    for layer in perceiver.layers:
        latents = layer(latents, seen, places)
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
            hint="their number is the product of two equal sides",
        )
    sides = sam.prompt_encoder.image_embedding_size
    if any(side % n for side in sides):
        raise ConfigError(
            f"a frame of {sides[0]} x {sides[1]} places cannot be cut into {n} x {n} windows",
            hint="choose an image size that gives a multiple of them",
        )
