"""SAM 2's video model, driven module by module instead of through its inference session.

The session runs under ``inference_mode`` and keeps state; here every step is a function of its
arguments, so that gradients flow from a frame through the memory into earlier frames and several
sentences run as one batch.
``tests/stages/core/model/backbones/test_parity.py`` checks that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.backbones.features import FrameFeatures, ItemFeatures, repeat_rows
from stages.core.model.backbones.preprocess import normalise
from stages.core.model.backbones.records import Decoded, MemoryTokens, Prompts
from stages.core.model.backbones.steps.attention import attend_ragged, attend_shared
from stages.core.model.backbones.steps.image_encoder import encode_images, runs_in_steps
from stages.core.model.backbones.steps.layers import is_compiled
from stages.core.model.backbones.steps.mask_decoder import decode_masks
from stages.core.model.backbones.steps.memory_encoder import encode_memory
from stages.core.model.backbones.steps.tables import kept_table
from stages.core.model.backbones.wrapped import VideoModel

NO_OBJECT = -1024.0
"""The mask logit of frames whose object score says that the object is absent."""
MASK_SCALE, MASK_BIAS = 20.0, -10.0
"""Turn a given mask of 0 and 1 into logits, as SAM 2 does."""
SINE_TEMPERATURE = 10_000.0
MASK_TO_COARSE = 4
"""Side of the decoder's masks as a multiple of the coarse features'."""
MEMORY_SCALE = 4
"""Side of the masks that the memory encoder reads, as a multiple of the decoder's masks."""
NO_PROMPT_TOKENS = 2


class Backbone(VideoModel):
    """A ``Sam2VideoModel``, and the base of every other family of models: the steps of a track.

    A family overrides what differs from SAM 2 and is listed in ``families.FAMILIES``; no other
    module looks into the wrapped model.

    Args:
        sam: the model of transformers; its name prefixes the weights of a checkpoint.

    Raises:
        ConfigError: its image encoder does not give three feature levels.
    """

    def encode_frames(self, frames: Tensor) -> FrameFeatures:
        """Features of frames as they were decoded and resized.

        Args:
            frames: uint8 (N, 3, S, S), see ``preprocess.resize_frames``.

        Raises:
            ValueError: they have another type or shape.
        """
        if frames.dtype != torch.uint8:
            raise ValueError(f"frames are {frames.dtype}, expected torch.uint8")
        return self.encode(normalise(frames, self.pixel_mean, self.pixel_std))

    def encode(self, pixels: Tensor) -> FrameFeatures:
        """Image encoder and the decoder's projections of the finer levels.

        Args:
            pixels: (N, 3, S, S), normalised with ``pixel_mean`` and ``pixel_std``.

        Raises:
            ValueError: the pixels have another shape.
        """
        self._check_pixels(pixels)
        encoder, decoder = self.sam.vision_encoder, self.sam.mask_decoder
        if runs_in_steps(encoder):
            levels = encode_images(encoder, pixels, decoder.conv_s0, decoder.conv_s1)
            return FrameFeatures(*levels)
        out = encoder(pixels, return_dict=True)
        fine, middle, coarse = out.fpn_hidden_states
        return FrameFeatures(
            fine=decoder.conv_s0(fine),
            middle=decoder.conv_s1(middle),
            coarse=coarse,
            position=out.fpn_position_encoding[-1][:1],
        )

    def _check_pixels(self, pixels: Tensor) -> None:
        """Raise ``ValueError`` unless the pixels have the shape (N, 3, S, S)."""
        side = self.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, side, side):
            raise ValueError(
                f"pixels have shape {tuple(pixels.shape)}, expected (N, 3, {side}, {side})"
            )

    def segment(
        self,
        features: ItemFeatures,
        memory: MemoryTokens | Sequence[MemoryTokens] | None,
        *,
        sparse: Tensor | None = None,
        multimask: bool = True,
    ) -> Decoded:
        """Memory attention and mask decoder.

        Args:
            features: of B items.
            memory: the memories that they read, or those of runs of items that read equally many
                (in eval mode); None if there are none yet.
            sparse: (B, 1, P, C) prompt tokens, or none.
            multimask: three candidates instead of one.
        """
        frames, rows = features.frames, features.rows
        if memory is None:
            coarse = frames.coarse + self.sam.no_memory_embedding.view(1, -1, 1, 1)
            coarse = repeat_rows(coarse, rows)
        elif isinstance(memory, MemoryTokens):
            coarse = self.attend(frames.coarse, frames.position, memory, rows)
        else:
            coarse = self.attend_ragged(frames.coarse, frames.position, memory, rows)
        return self.decode(
            coarse, frames.middle, frames.fine, rows=rows, sparse=sparse, multimask=multimask
        )

    def attend(
        self, coarse: Tensor, position: Tensor, memory: MemoryTokens, rows: Tensor | None = None
    ) -> Tensor:
        """Memory attention.

        Args:
            coarse: (n, C, h, h).
            position: (1, C, h, h).
            memory: read by the B items.
            rows: (B,) which of the n frames each item shows; None: n is B, each its own.

        Returns:
            (B, C, h, h) features with the memories mixed in.
        """
        if memory.owner is None:
            return self._attend_own(repeat_rows(coarse, rows), position, memory)
        attention = self.sam.memory_attention
        return attend_shared(
            attention, coarse, position, memory, memory.owner, rows, self.layer_steps
        )

    def attend_ragged(
        self,
        coarse: Tensor,
        position: Tensor,
        memories: Sequence[MemoryTokens],
        rows: Tensor | None = None,
    ) -> Tensor:
        """Memory attention of items that read unequally many memories; in eval mode only.

        Args:
            coarse: (n, C, h, h).
            position: (1, C, h, h).
            memories: of runs of items that read equally many; each has one memory per item.
            rows: (B,) which of the n frames each item shows; None: n is B, each its own.

        Returns:
            (B, C, h, h).
        """
        attention = self.sam.memory_attention
        return attend_ragged(attention, coarse, position, memories, rows, self.layer_steps)

    def _attend_own(
        self, coarse: Tensor, position: Tensor, memory: MemoryTokens, **more: int
    ) -> Tensor:
        """Memory attention of B items that read one memory each.

        Args:
            more: further arguments of the model's own module.
        """
        b, c, h, w = coarse.shape
        attended = self.sam.memory_attention(
            current_vision_features=coarse.flatten(2).permute(2, 0, 1),  # (hh, B, C)
            current_vision_position_embeddings=position.flatten(2).permute(2, 0, 1),
            memory=memory.memory,
            memory_posision_embeddings=memory.position,
            num_object_pointer_tokens=memory.pointer_tokens,
            **more,
        )  # (1, B, hh, C)
        return attended[0].transpose(1, 2).reshape(b, c, h, w)

    def no_prompt(self, batch: int) -> Tensor:
        """(B, 1, 2, C): the tokens that SAM 2 feeds its decoder without a prompt."""
        token = self.sam.prompt_encoder.not_a_point_embed.weight  # (1, C)
        return token.view(1, 1, 1, -1).expand(batch, 1, NO_PROMPT_TOKENS, -1)

    def decode(
        self,
        coarse: Tensor,
        middle: Tensor,
        fine: Tensor,
        *,
        rows: Tensor | None = None,
        sparse: Tensor | None = None,
        dense: Tensor | None = None,
        multimask: bool = True,
    ) -> Decoded:
        """Mask decoder.

        Args:
            coarse: (B, C, h, h) after memory.
            middle: (n, C/4, 2h, 2h).
            fine: (n, C/8, 4h, 4h).
            rows: (B,) which of the n frames each item shows; None: n is B, each its own.
            sparse: (B, 1, P, C) prompt tokens, or none.
            dense: (B, C, h, h) mask prompt, or none.
            multimask: three candidates instead of one.
        """
        batch, decoder = len(coarse), self.sam.mask_decoder
        if dense is None:
            dense = self.sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        if sparse is None:
            sparse = self.no_prompt(batch)
        by_stability = decoder.dynamic_multimask_via_stability and not multimask
        if self.training or by_stability or is_compiled(decoder):
            if is_compiled(decoder):
                coarse = coarse.contiguous()  # else compiled for every memory layout
            masks, iou, tokens, score = decoder(
                image_embeddings=coarse,
                image_positional_embeddings=self._image_positions().expand(batch, -1, -1, -1),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense.expand(batch, -1, *coarse.shape[-2:]),
                multimask_output=multimask,
                high_resolution_features=[repeat_rows(fine, rows), repeat_rows(middle, rows)],
            )  # (B, 1, M, s, s), (B, 1, M), (B, 1, M, C), (B, 1, 1)
            return Decoded(masks[:, 0], iou[:, 0], tokens[:, 0], score[:, 0, 0])
        image, positions, levels = coarse + dense, self._image_positions(), (middle, fine)
        found = decode_masks(
            decoder, image, positions, sparse[:, 0], levels, rows, multimask=multimask
        )
        return Decoded(*found)

    def _image_positions(self) -> Tensor:
        """(1, C, h, h) positions of a frame's places, as the mask decoder takes them."""
        matrix = self.sam.shared_image_embedding.positional_embedding  # random, not trained
        if matrix.is_inference():  # it may change unnoticed
            return self.sam.get_image_wide_positional_embeddings()
        key = ("image", matrix.device, matrix.dtype, matrix.data_ptr(), matrix._version)
        return kept_table(self, key, self.sam.get_image_wide_positional_embeddings)

    def takes_multimask(self, prompts: Prompts | None, *, initial: bool) -> bool:
        """Return whether three candidates are decoded, as they are for few clicks.

        Args:
            prompts: points and boxes (two clicks each); None for a frame without.
            initial: the prompts start a track; no memory is read.
        """
        config = self.sam.config
        clicks = 0 if prompts is None else prompts.clicks()[0].shape[1]
        few = config.multimask_min_pt_num <= clicks <= config.multimask_max_pt_num
        allowed = initial or config.multimask_output_for_tracking
        return config.multimask_output_in_sam and allowed and few

    def prompt_tokens(self, prompts: Prompts) -> Tensor:
        """(B, 1, P + 1, C) tokens of P clicks, and one that pads them."""
        points, labels = prompts.clicks()  # (B, P, 2), (B, P)
        return self.sam.prompt_encoder(points.unsqueeze(1), labels.unsqueeze(1), None, None)[0]

    def read_mask(self, features: ItemFeatures, mask: Tensor, *, gate: bool) -> Decoded:
        """Take given masks as the result for B objects, with the token that describes them.

        Args:
            features: of B items.
            mask: (B, S, S) of 0 and 1.
            gate: let the decoder's own object score decide about the pointer too, as SAM 2 does.
        """
        frames, rows = features.frames, features.rows
        given = mask.to(frames.coarse.dtype)
        logits = given * MASK_SCALE + MASK_BIAS  # (B, S, S)
        low = _resize(logits.unsqueeze(1), self.mask_size, antialias=True)  # (B, 1, s, s)
        hint = self.sam.mask_downsample(given.unsqueeze(1))
        hint = _resize(hint, self.mask_size, antialias=True)  # (B, 1, s, s)
        dense = self.sam.prompt_encoder.mask_embed(hint)  # (B, C, h, h)
        coarse = repeat_rows(frames.coarse, rows)
        read = self.decode(coarse, frames.middle, frames.fine, rows=rows, dense=dense)
        present = mask.flatten(1).any(dim=1)
        score = present.to(logits.dtype) * MASK_SCALE + MASK_BIAS
        # The session multiplies two gates: the decoder's and the given mask's.
        shown = present & (read.object_score > 0) if gate else present
        pointer = self._point_at(read.token, shown)
        return Decoded(low, low.new_ones(len(low), 1), read.tokens, score, pointer)

    def pointer(self, decoded: Decoded, *, gate: bool) -> Tensor:
        """(B, C) object pointers of a result; with the gate, absent objects share one."""
        if decoded.pointer is not None:
            return decoded.pointer
        visible = decoded.object_score > 0
        return self._point_at(decoded.token, visible if gate else torch.ones_like(visible))

    def _point_at(self, token: Tensor, visible: Tensor) -> Tensor:
        """(B, C) pointers from mask tokens (B, C), for the rows that ``visible`` (B,) names."""
        shown = visible.to(token.dtype).unsqueeze(1)  # (B, 1)
        return (
            shown * self.sam.object_pointer_proj(token) + (1 - shown) * self.sam.no_object_pointer
        )

    def remember(
        self,
        coarse: Tensor,
        mask: Tensor,
        object_score: Tensor,
        *,
        gate: bool,
        binarise: bool,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Memory encoder.

        Args:
            coarse: (n, C, h, h) features of the frames, as the image encoder gave them.
            mask: (B, m, m) logits of any side m.
            object_score: (B,) logits.
            gate: treat items with a score at or below 0 as absent.
            binarise: write a hard mask, as SAM 2 does for prompted frames.
            rows: (B,) which of the n frames each item shows; None: n is B, each its own.

        Returns:
            (B, N, Cm) memory tokens, see ``memory_tokens``.
        """
        config = self.sam.config
        if gate:
            mask = torch.where(object_score.view(-1, 1, 1) > 0, mask, NO_OBJECT)
        high = _resize(mask.unsqueeze(1), self.image_size, antialias=False)  # (B, 1, S, S)
        high = _resize(high, MEMORY_SCALE * self.mask_size, antialias=True)  # (B, 1, 4s, 4s)
        amount = (high > 0).to(coarse.dtype) if binarise else high.sigmoid()
        amount = amount * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        encoder = self.sam.memory_encoder
        if self.training or is_compiled(encoder):
            memory, _ = encoder(repeat_rows(coarse, rows), amount)  # (B, Cm, h, h)
        else:
            memory = encode_memory(encoder, coarse, amount, rows)
        absent_code = self.sam.occlusion_spatial_embedding_parameter
        if gate and absent_code is not None:
            absent = (object_score <= 0).to(memory.dtype).view(-1, 1, 1, 1)
            memory = memory + absent * absent_code.view(1, -1, 1, 1)
        return self.memory_tokens(memory)

    def memory_tokens(self, memory: Tensor) -> Tensor:
        """(B, N, Cm) tokens of memories (B, Cm, h, w): one per place, N is h * w."""
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
            offsets: (P,) distances in time, as fractions of the longest one.

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
