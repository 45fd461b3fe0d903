"""A video model of transformers: its sizes, its parts and how they run, its configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from schemas.errors import ConfigError
from stages.core.model.backbones.preprocess import IMAGENET_MEAN, IMAGENET_STD
from stages.core.model.backbones.steps.attention import EAGER, LayerSteps
from stages.core.model.backbones.steps.layers import is_compiled
from stages.core.model.loading.names import NAME_FIELD, public_name

T = TypeVar("T")

NUM_LEVELS = 3
LEVEL_SCALES = (4, 2, 1)
"""Sides of the decoder's levels as multiples of h."""
COARSEST_STRIDE = 32
"""Of the last stage of a hierarchical image encoder, whose output is enlarged by two."""
FIRST_STRIDE = 4
"""Of its first stage."""


class VideoModel(nn.Module):
    """What does not depend on frames in a ``Sam2VideoModel``, and in those of other families.

    Args:
        sam: the model of transformers; its name prefixes the weights of a checkpoint.

    Raises:
        ConfigError: its image encoder does not give three feature levels.
    """

    trained_parts: ClassVar[tuple[str, ...]] = (
        "memory_attention",
        "mask_decoder",
        "memory_encoder",
        "object_pointer_proj",
        "temporal_positional_encoding_projection_layer",
        "memory_temporal_positional_encoding",
        "no_memory_embedding",
    )
    """Parameters that TGL trains, by prefix: memory attention, mask decoder, memory encoder, and
    the small tensors for reading the memory."""
    encoder_parts: ClassVar[tuple[str, ...]] = ("mask_decoder.conv_s0", "mask_decoder.conv_s1")
    """Projections that run with the encoder, so that features can be shared and cached."""
    gate_parts: ClassVar[tuple[str, ...]] = (
        "no_object_pointer",
        "occlusion_spatial_embedding_parameter",
    )
    """Codes that only the object-score gate uses; without it they have no gradient."""
    compiled_parts: ClassVar[tuple[str, ...]] = (
        "vision_encoder",
        "memory_attention",
        "memory_encoder",
        "mask_decoder",
    )
    """Modules without graph breaks; each is compiled alone."""
    pixel_mean: ClassVar[tuple[float, float, float]] = IMAGENET_MEAN
    """Mean of the pixels (red, green, blue; white is 1) that the image encoder was trained on."""
    pixel_std: ClassVar[tuple[float, float, float]] = IMAGENET_STD
    """Their standard deviation."""

    @classmethod
    def require_packages(cls, document: Mapping[str, Any], where: Path) -> None:
        """Check that the packages for a configuration can be imported; SAM 2 needs no other.

        Args:
            document: the configuration.
            where: the file it was read from, for messages.

        Raises:
            MissingInput: a package is missing.
        """

    def __init__(self, sam: Any):
        super().__init__()
        self._check_levels(sam.config.vision_config)
        self.sam = sam
        self.layer_steps = EAGER
        self.compiled: dict[str, Any] | None = None
        """Options of :meth:`compile_parts`; None before it."""

    @staticmethod
    def _check_levels(vision: Any) -> None:
        """Raise ``ConfigError`` unless the image encoder gives strides of 1, 2 and 4 times h."""
        if vision.num_feature_levels != NUM_LEVELS:
            raise ConfigError("the backbone's image encoder must give three feature levels")

    def to_config(self) -> dict[str, Any]:
        """Return the model's configuration, as ``families.backbone_of`` reads it.

        Its name is a hub id or that of a folder: a path would tell where the model was made.
        """
        document = self.sam.config.to_dict()
        return document | {NAME_FIELD: public_name(document.get(NAME_FIELD, ""))}

    def compile_parts(self, **options: Any) -> None:
        """Compile the parts that have no graph breaks, each alone.

        In eval mode, items that share memories go around the module of memory attention; the steps
        of its layers are compiled for them.

        Args:
            options: of ``torch.compile``.
        """
        for name in self.compiled_parts:
            module = self.sam.get_submodule(name)
            if not is_compiled(module):  # as is an image encoder that two backbones share
                module.compile(**options)
        self.layer_steps = LayerSteps.compiled(**options)
        self.compiled = options

    def recompute_activations(self) -> None:
        """From now on, recompute activations in the backward pass instead of keeping them.

        Those of one layer of memory attention, of the mask decoder or of the memory encoder exist
        at a time.
        """
        sam = self.sam
        for module in (*sam.memory_attention.layers, sam.mask_decoder, sam.memory_encoder):
            module.forward = partial(_recomputed, module.forward)

    def share_point_embedding(self) -> None:
        """Give the image and the prompts one random matrix for positions.

        From random weights the two differ, and points then cannot be learned; SAM 2's own weights
        contain the same matrix twice.
        """
        shared = self.sam.shared_image_embedding.positional_embedding
        self.sam.prompt_encoder.shared_embedding.positional_embedding.data.copy_(shared.data)

    def select_trained(self, *, gate: bool) -> None:
        """Freeze all parameters but those that TGL trains.

        Args:
            gate: train the codes of the object-score gate too.
        """
        # In eval mode this would fall back on mask tokens that single-mask training never uses.
        self.sam.mask_decoder.dynamic_multimask_via_stability = False
        for name, parameter in self.sam.named_parameters():
            parameter.requires_grad_(self._is_trained(name, gate=gate))

    def _is_trained(self, name: str, *, gate: bool) -> bool:
        if name.startswith(self.encoder_parts):
            return False
        return name.startswith(self.trained_parts) or (gate and name.startswith(self.gate_parts))

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that some setting trains, by their name in this module."""
        ids = {id(p) for n, p in self.sam.named_parameters() if self._is_trained(n, gate=True)}
        return {name: p for name, p in self.named_parameters() if id(p) in ids}

    @property
    def image_encoder(self) -> nn.Module:
        """The network that :meth:`encode` runs frames through."""
        return self.sam.vision_encoder

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

    @property
    def max_prompted(self) -> int:
        """Prompted frames that a frame reads, those nearest in time; -1: all of them."""
        return self.sam.config.max_cond_frame_num

    @classmethod
    def resize(cls, config: Any, size: int) -> None:
        """Set the side of the frames in a configuration; weights do not depend on it.

        Args:
            config: of transformers, for this family.
            size: S in pixels.

        Raises:
            ConfigError: the model cannot cut frames of this size into its windows or patches.
        """
        step = cls.size_step(config)
        if size < 1 or size % step:
            below = max(step, size // step * step)
            raise ConfigError(
                f"image size {size} is not a multiple of {step}",
                where="--image-size",
                hint=f"choose {below} or {below + step}",
            )
        cls._set_size(config, size)

    @classmethod
    def size_step(cls, config: Any) -> int:
        """Sides of frames must be multiples of this number of pixels.

        The first stage of SAM 2's image encoder repeats a code over its windows.
        """
        encoder = config.vision_config.backbone_config
        windows = getattr(encoder, "window_size_per_stage", None) or [1]
        return math.lcm(COARSEST_STRIDE, FIRST_STRIDE * windows[0])

    @staticmethod
    def _set_size(config: Any, size: int) -> None:
        """Write a side, and what follows from it, wherever a configuration has it."""
        coarse = size // config.prompt_encoder_config.patch_size
        sides = [[scale * coarse, scale * coarse] for scale in LEVEL_SCALES]
        config.image_size = size
        config.prompt_encoder_config.image_size = size
        config.vision_config.backbone_feature_sizes = sides
        config.memory_attention_rope_feat_sizes = sides[-1]
        if hasattr(config.vision_config.backbone_config, "image_size"):
            config.vision_config.backbone_config.image_size = [size, size]


def _recomputed(forward: Callable[..., T], *args: Any, **named: Any) -> T:
    """The result of a module's forward, whose activations are not kept."""
    if not torch.is_grad_enabled():
        return forward(*args, **named)
    return checkpoint(forward, *args, use_reentrant=False, **named)
