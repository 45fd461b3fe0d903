"""SAM 2's video model, driven module by module instead of through its inference session.

The session runs under ``inference_mode`` and keeps state; here every step is a function of its
arguments, so that gradients flow from a frame through the memory into earlier frames and several
sentences run as one batch.
``tests/stages/core/model/backbones/test_parity.py`` holds both to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schemas.errors import ConfigError
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.shared_attention import attend_shared

NO_OBJECT = -1024.0
"""The mask logit that SAM 2 writes where its object score says that nothing is there."""
MASK_SCALE, MASK_BIAS = 20.0, -10.0
"""SAM 2 turns a given mask of 0 and 1 into logits with these."""
SINE_TEMPERATURE = 10_000.0
NUM_LEVELS = 3
NO_PROMPT_TOKENS = 2


@dataclass(frozen=True)
class Decoded:
    """What the mask decoder says of B items; the chosen candidate has the highest predicted IoU.

    Attributes:
        candidates: (B, M, s, s) raw mask logits.
        iou: (B, M) predicted IoU, 0..1.
        tokens: (B, M, C) mask tokens, from which object pointers are made.
        object_score: (B,) logit of "the object is visible".
        pointer: (B, C) ready object pointer where a mask was given; otherwise made from the token.
    """

    candidates: Tensor
    iou: Tensor
    tokens: Tensor
    object_score: Tensor
    pointer: Tensor | None = None

    @property
    def chosen(self) -> Tensor:
        """(B,) index of the candidate with the highest predicted IoU."""
        return self.iou.argmax(dim=1)

    @property
    def mask_logits(self) -> Tensor:
        """(B, s, s) raw logits of the chosen candidate."""
        rows = torch.arange(len(self.iou), device=self.iou.device)
        return self.candidates[rows, self.chosen]

    @property
    def token(self) -> Tensor:
        """(B, C) token of the chosen candidate."""
        if self.tokens.shape[1] != self.iou.shape[1]:
            return self.tokens[:, 0]
        rows = torch.arange(len(self.iou), device=self.iou.device)
        return self.tokens[rows, self.chosen]


@dataclass(frozen=True)
class Prompts:
    """What a user gives SAM 2 on a frame, for B objects; a mask excludes points and boxes.

    Attributes:
        mask: (B, S, S) of 0 and 1: taken as the answer, and as the object's first memory.
        points: (B, P, 2) pixel coordinates x, y in the S x S image, with ``labels``.
        labels: (B, P) 1 inside, 0 outside, -1 no point.
        boxes: (B, 4) x0, y0, x1, y1 in pixels of the S x S image.
    """

    mask: Tensor | None = None
    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None

    def __post_init__(self) -> None:
        clicks = self.points is not None or self.boxes is not None
        if (self.mask is not None) == clicks:
            raise ValueError("give either a mask, or points or boxes")
        if (self.points is None) != (self.labels is None):
            raise ValueError("points and labels come together")


class Backbone(nn.Module):
    """A ``Sam2VideoModel`` behind the five steps that tracking is made of.

    Args:
        sam: the model; it stays reachable as ``.sam`` for saving.

    Raises:
        ConfigError: its image encoder does not give three feature levels.
    """

    def __init__(self, sam: Any):
        super().__init__()
        if sam.config.vision_config.num_feature_levels != NUM_LEVELS:
            raise ConfigError("the backbone's image encoder must give three feature levels")
        self.sam = sam

    @property
    def image_size(self) -> int:
        """S, the side of the encoder's input in pixels."""
        return self.sam.config.image_size

    @property
    def mask_size(self) -> int:
        """s, the side of the decoder's masks."""
        return self.sam.prompt_encoder.mask_input_size[0]

    @property
    def channels(self) -> int:
        """C, the channels of the coarse level."""
        return self.sam.hidden_dim

    @property
    def memory_channels(self) -> int:
        return self.sam.mem_dim

    @property
    def memory_slots(self) -> int:
        """Temporal codes in the memory: one for prompted frames, the others for ranks."""
        return self.sam.num_maskmem

    @property
    def max_pointers(self) -> int:
        """Object pointers that memory attention was trained to read."""
        return self.sam.config.max_object_pointers_in_encoder

    def encode(self, pixels: Tensor) -> FrameFeatures:
        """Image encoder and the decoder's projections of the finer levels.

        Args:
            pixels: (N, 3, S, S), see ``preprocess``.
        """
        side = self.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, side, side):
            raise ValueError(
                f"pixels have shape {tuple(pixels.shape)}, expected (N, 3, {side}, {side})"
            )
        out = self.sam.vision_encoder(pixels, return_dict=True)
        fine, middle, coarse = out.fpn_hidden_states
        decoder = self.sam.mask_decoder
        return FrameFeatures(
            fine=decoder.conv_s0(fine),
            middle=decoder.conv_s1(middle),
            coarse=coarse,
            position=out.fpn_position_encoding[-1][:1],
        )

    def without_memory(self, coarse: Tensor) -> Tensor:
        """(B, C, h, h) features of a frame that has nothing to remember."""
        return coarse + self.sam.no_memory_embedding.view(1, -1, 1, 1)

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
        """Memory attention.

        Args:
            coarse: (B, C, h, h).
            position: (1, C, h, h).
            memory: (L, G, Cm): N tokens a remembered frame, then the pointers' tokens.
            memory_position: (L, G, Cm).
            pointer_tokens: how many of the L are pointers'.
            owner: which of the G memories each item reads; by default G is B and each has its own.

        Returns:
            (B, C, h, h) features that know what was remembered.
        """
        if owner is not None:
            return attend_shared(
                self.sam.memory_attention,
                coarse,
                position,
                memory,
                memory_position,
                pointer_tokens,
                owner,
            )
        return self._attend_own(coarse, position, memory, memory_position, pointer_tokens)

    def _attend_own(
        self,
        coarse: Tensor,
        position: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        pointer_tokens: int,
        **more: int,
    ) -> Tensor:
        """Memory attention of B items that read a memory each.

        Args:
            more: what the model's own module wants to know beside.
        """
        b, c, h, w = coarse.shape
        attended = self.sam.memory_attention(
            current_vision_features=coarse.flatten(2).permute(2, 0, 1),  # (hh, B, C)
            current_vision_position_embeddings=position.flatten(2).permute(2, 0, 1),
            memory=memory,
            memory_posision_embeddings=memory_position,
            num_object_pointer_tokens=pointer_tokens,
            **more,
        )  # (1, B, hh, C)
        return attended[0].transpose(1, 2).reshape(b, c, h, w)

    def no_prompt(self, batch: int) -> Tensor:
        """(B, 1, 2, C): what SAM 2 feeds its decoder when nobody prompts."""
        token = self.sam.prompt_encoder.not_a_point_embed.weight  # (1, C)
        return token.view(1, 1, 1, -1).expand(batch, 1, NO_PROMPT_TOKENS, -1)

    def decode(
        self,
        coarse: Tensor,
        middle: Tensor,
        fine: Tensor,
        *,
        sparse: Tensor | None = None,
        dense: Tensor | None = None,
        multimask: bool = True,
    ) -> Decoded:
        """Mask decoder.

        Args:
            coarse: (B, C, h, h) after memory.
            middle: (B, C/4, 2h, 2h).
            fine: (B, C/8, 4h, 4h).
            sparse: (B, 1, P, C) prompt tokens, or none.
            dense: (B, C, h, h) mask prompt, or none.
            multimask: three candidates instead of one.
        """
        batch = len(coarse)
        encoder = self.sam.prompt_encoder
        if dense is None:
            dense = encoder.no_mask_embed.weight.view(1, -1, 1, 1)
            dense = dense.expand(batch, -1, *coarse.shape[-2:])
        positions = self.sam.get_image_wide_positional_embeddings()  # (1, C, h, h)
        masks, iou, tokens, score = self.sam.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=positions.expand(batch, -1, -1, -1),
            sparse_prompt_embeddings=self.no_prompt(batch) if sparse is None else sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            high_resolution_features=[fine, middle],
        )  # (B, 1, M, s, s), (B, 1, M), (B, 1, M, C), (B, 1, 1)
        return Decoded(masks[:, 0], iou[:, 0], tokens[:, 0], score[:, 0, 0])

    def prompt_tokens(self, prompts: Prompts) -> Tensor:
        """(B, 1, P, C) tokens of points and boxes."""
        points = None if prompts.points is None else prompts.points.unsqueeze(1)  # (B, 1, P, 2)
        labels = None if prompts.labels is None else prompts.labels.unsqueeze(1)  # (B, 1, P)
        boxes = None if prompts.boxes is None else prompts.boxes.unsqueeze(1)  # (B, 1, 4)
        return self.sam.prompt_encoder(points, labels, boxes, None)[0]

    def read_mask(self, features: FrameFeatures, mask: Tensor, *, gate: bool) -> Decoded:
        """Take given masks as the answer for B objects, with the token that describes them.

        Args:
            features: of B frames.
            mask: (B, S, S) of 0 and 1.
            gate: let the decoder's own object score decide about the pointer too, as SAM 2 does.
        """
        logits = mask.to(features.coarse.dtype) * MASK_SCALE + MASK_BIAS  # (B, S, S)
        low = _resize(logits.unsqueeze(1), self.mask_size, antialias=True)  # (B, 1, s, s)
        hint = self.sam.mask_downsample(mask.unsqueeze(1).to(features.coarse.dtype))
        dense = self.sam.prompt_encoder.mask_embed(hint)  # (B, C, h, h)
        read = self.decode(features.coarse, features.middle, features.fine, dense=dense)
        present = mask.flatten(1).any(dim=1)
        score = present.to(logits.dtype) * MASK_SCALE + MASK_BIAS
        # The session multiplies two gates: the decoder's and the given mask's.
        shown = present & (read.object_score > 0) if gate else present
        pointer = self._point_at(read.token, shown)
        return Decoded(low, low.new_ones(len(low), 1), read.tokens, score, pointer)

    def pointer(self, decoded: Decoded, *, gate: bool) -> Tensor:
        """(B, C) object pointers of an answer; gated, absent objects share one."""
        if decoded.pointer is not None:
            return decoded.pointer
        visible = decoded.object_score > 0
        return self._point_at(decoded.token, visible if gate else torch.ones_like(visible))

    def _point_at(self, token: Tensor, visible: Tensor) -> Tensor:
        """(B, C) pointers from mask tokens (B, C), for the rows that ``visible`` (B,) names."""
        share = visible.to(token.dtype).unsqueeze(1)  # (B, 1)
        return (
            share * self.sam.object_pointer_proj(token) + (1 - share) * self.sam.no_object_pointer
        )

    def remember(
        self, coarse: Tensor, mask: Tensor, object_score: Tensor, *, gate: bool, binarise: bool
    ) -> Tensor:
        """Memory encoder.

        Args:
            coarse: (B, C, h, h) features of the frames, as the image encoder gave them.
            mask: (B, m, m) logits of any side m.
            object_score: (B,) logits.
            gate: treat items with a score at or below 0 as "nothing there".
            binarise: write a hard mask, as SAM 2 does for prompted frames.

        Returns:
            (B, N, Cm) memory tokens, see ``memory_tokens``.
        """
        config = self.sam.config
        if gate:
            mask = torch.where(object_score.view(-1, 1, 1) > 0, mask, NO_OBJECT)
        high = _resize(mask.unsqueeze(1), self.image_size, antialias=False)  # (B, 1, S, S)
        amount = (high > 0).to(coarse.dtype) if binarise else high.sigmoid()
        amount = amount * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        memory, _ = self.sam.memory_encoder(coarse, amount)  # (B, Cm, h, h)
        absent_code = self.sam.occlusion_spatial_embedding_parameter
        if gate and absent_code is not None:
            absent = (object_score <= 0).to(memory.dtype).view(-1, 1, 1, 1)
            memory = memory + absent * absent_code.view(1, -1, 1, 1)
        return self.memory_tokens(memory)

    def memory_tokens(self, memory: Tensor) -> Tensor:
        """(B, N, Cm) tokens of memories (B, Cm, h, w): one a place, N is h * w."""
        return memory.flatten(2).transpose(1, 2)

    def memory_position(self, side: tuple[int, int], like: Tensor) -> Tensor:
        """(N, Cm) sine positions of one remembered frame of h x w places."""
        shape = torch.Size((1, self.memory_channels, *side))
        encoding = self.sam.memory_encoder.position_encoding(shape, like.device, like.dtype)
        return encoding[0].flatten(1).transpose(0, 1)

    def temporal_code(self, slot: int) -> Tensor:
        """(Cm,) learned code of a temporal slot; slot -1 is a prompted frame's."""
        return self.sam.memory_temporal_positional_encoding[slot].flatten()

    def pointer_position(self, offsets: Tensor) -> Tensor:
        """Positions of object pointers.

        Args:
            offsets: (P,) distance in time as a share of the longest one.

        Returns:
            (P, Cm).
        """
        if not self.sam.config.enable_temporal_pos_encoding_for_object_pointers:
            return offsets.new_zeros(len(offsets), self.memory_channels)
        return self.sam.temporal_positional_encoding_projection_layer(
            sine_encoding(offsets, self.channels)
        )


def sine_encoding(positions: Tensor, width: int) -> Tensor:
    """(P, width) sines and cosines of positions (P,), as in the original Transformer."""
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float32, device=positions.device)
    exponent = 2 * torch.div(exponent, 2, rounding_mode="floor") / half
    angles = positions.unsqueeze(1) / SINE_TEMPERATURE**exponent  # (P, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _resize(masks: Tensor, side: int, *, antialias: bool) -> Tensor:
    """(B, 1, m, m) to (B, 1, side, side), in float32: half precision has no such kernel."""
    if masks.shape[-1] == side:
        return masks
    resized = F.interpolate(
        masks.float(), size=(side, side), mode="bilinear", align_corners=False, antialias=antialias
    )
    return resized.to(masks.dtype)
