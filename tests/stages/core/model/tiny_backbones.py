"""Tiny random backbones: every parameter that starts at zero or one is made to matter."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch
from transformers import (
    EdgeTamVideoConfig,
    EdgeTamVisionConfig,
    Sam3TrackerVideoConfig,
    Sam3VideoConfig,
    TimmWrapperConfig,
)

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset

SIZE = 64
EDGETAM = ("edgetam", "edgetam-published", "edgetam-timm")
KINDS = ("sam2", "sam3", *EDGETAM)
"""Backbones of the tests; the last one only where timm is installed."""
SCORE_SHIFT = {
    "sam2": 0.53,
    "sam3": 0.0,
    "edgetam": -0.2,
    "edgetam-published": 0.7,
    "edgetam-timm": -1.55,
}
"""Puts the object scores of the compared clips on both sides of 0."""
LOUDER = 5
"""Without it, breaking the memory would hardly show in EdgeTAM's masks."""
CHANNELS = 128
WIDTHS = (16, 24, 32, 48)
GLOBAL_LATENTS = 3
WINDOWS = 2
SAM3_SIZE = 56
"""Side of SAM 3's frames: four patches, and like the published 1008 not a multiple of 16."""
SAM3_WORDS = 64


def tiny_edgetam(size: int, *, timm: bool = False, published: bool = False, **fields: Any) -> Any:
    """Configuration of an EdgeTAM of 2.4 million parameters.

    Args:
        size: image side in pixels.
        timm: take the image encoder from timm; else SAM 2's, which needs no other package.
        published: no places for pointers and no code for absence, as in EdgeTAM's own weights.
        fields: other fields of the configuration.
    """
    sam2 = toy_preset(size)
    settings: dict[str, Any] = {
        "vision_config": _timm_encoder(size) if timm else sam2.vision_config,
        "prompt_encoder_config": {
            "hidden_size": CHANNELS,
            "image_size": size,
            "patch_size": 16,
            "mask_input_channels": 16,
        },
        "mask_decoder_config": {
            "hidden_size": CHANNELS,
            "mlp_dim": 256,
            "iou_head_hidden_dim": CHANNELS,
            "dynamic_multimask_via_stability": False,
        },
        "image_size": size,
        "memory_attention_hidden_size": CHANNELS,
        "memory_attention_mlp_hidden_size": 256,
        "memory_attention_rope_feat_sizes": [size // 16, size // 16],
        "memory_attention_rope_k_sizes": [WINDOWS, WINDOWS],
        "memory_attention_dropout": 0.0,
        "memory_attention_rope_dropout": 0.0,
        "perceiver_resampler_num_latents": GLOBAL_LATENTS,
        "perceiver_resampler_num_latents_2d": WINDOWS * WINDOWS,
        "memory_encoder_hidden_size": CHANNELS,
        "mask_downsampler_embed_dim": CHANNELS,
        "memory_fuser_embed_dim": CHANNELS,
        "memory_fuser_intermediate_dim": 256,
        "memory_fuser_layer_scale_init_value": 0.1,
        "enable_temporal_pos_encoding_for_object_pointers": not published,
        "enable_occlusion_spatial_embedding": not published,
    }
    return EdgeTamVideoConfig(**(settings | fields))


def tiny_sam3(size: int = SAM3_SIZE, **fields: Any) -> Any:
    """Configuration of a SAM 3 tracker of two million parameters.

    Args:
        size: image side in pixels, a multiple of 14.
        fields: other fields of the configuration.
    """
    settings: dict[str, Any] = {
        "vision_config": tiny_sam3_vision(size),
        "prompt_encoder_config": {"hidden_size": CHANNELS},
        "mask_decoder_config": {
            "hidden_size": CHANNELS,
            "mlp_dim": 256,
            "iou_head_hidden_dim": CHANNELS,
            "dynamic_multimask_via_stability": False,
        },
        "image_size": size,
        "memory_attention_hidden_size": CHANNELS,
        "memory_attention_num_layers": 2,
        "memory_attention_feed_forward_hidden_size": 256,
        "memory_attention_dropout": 0.0,
        "memory_attention_rope_dropout": 0.0,
        "memory_encoder_hidden_size": CHANNELS,
        "mask_downsampler_embed_dim": CHANNELS,
        "memory_fuser_embed_dim": CHANNELS,
        "memory_fuser_intermediate_dim": 256,
        "memory_fuser_layer_scale_init_value": 0.1,
    }
    return Sam3TrackerVideoConfig(**(settings | fields))


def tiny_sam3_vision(size: int) -> dict[str, Any]:
    """A transformer of two layers, the first in windows, and its neck; of tracker and detector."""
    return {
        "model_type": "sam3_vision_model",
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": size,
            "pretrain_image_size": SAM3_SIZE // 2,
            "window_size": 2,
            "global_attn_indexes": [1],
        },
        "fpn_hidden_size": CHANNELS,
    }


def tiny_sam3_video(size: int = SAM3_SIZE) -> Any:
    """Configuration of a detector and a tracker over one image encoder, as published."""
    layers = {"hidden_size": CHANNELS, "num_layers": 1, "intermediate_size": 64}
    text = {
        "vocab_size": SAM3_WORDS,
        "hidden_size": 32,
        "intermediate_size": 64,
        "projection_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "eos_token_id": SAM3_WORDS - 1,
    }
    detector = {
        "vision_config": tiny_sam3_vision(size),
        "text_config": {"model_type": "clip_text_model", **text},
        "geometry_encoder_config": dict(layers),
        "detr_encoder_config": dict(layers),
        "detr_decoder_config": {**layers, "num_queries": 9},
        "mask_decoder_config": {"hidden_size": CHANNELS},
    }
    return Sam3VideoConfig(
        detector_config={"model_type": "sam3", **detector},
        tracker_config=tiny_sam3(size).to_dict(),
    )


def _timm_encoder(size: int) -> EdgeTamVisionConfig:
    """A RepViT with one block a stage."""
    network = TimmWrapperConfig(
        architecture="repvit_m1",
        model_args={
            "in_chans": 3,
            "features_only": True,
            "out_indices": [0, 1, 2, 3],
            "embed_dim": list(WIDTHS),
            "depth": [1, 1, 1, 1],
        },
    )
    return EdgeTamVisionConfig(
        backbone_config=network,
        backbone_channel_list=list(reversed(WIDTHS)),
        backbone_feature_sizes=[[size // stride, size // stride] for stride in (4, 8, 16)],
        fpn_hidden_size=CHANNELS,
    )


def randomise(module: torch.nn.Module, seed: int, scale: float = 0.05) -> None:
    """Add noise to all parameters, so that none is at its neutral start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def config_of(kind: str) -> Any:
    """Configuration of a tiny backbone of one of ``KINDS``."""
    if kind == "sam2":
        return toy_preset(SIZE)
    if kind == "sam3":
        return tiny_sam3()
    if kind == "edgetam-timm":
        pytest.importorskip("timm", reason="EdgeTAM's own image encoder needs tgl[edgetam]")
    return tiny_edgetam(SIZE, timm=kind == "edgetam-timm", published=kind == "edgetam-published")


def random_backbone(seed: int = 0, kind: str = "sam2") -> Backbone:
    """A random tiny backbone in eval mode whose object scores have both signs.

    It is the caller's own: building one takes several times as long as copying it. The generator
    of random numbers is left as building leaves it.
    """
    backbone, state = _built(seed, kind)
    torch.set_rng_state(state)
    return copy.deepcopy(backbone)


@cache
def _built(seed: int, kind: str) -> tuple[Backbone, torch.Tensor]:
    """The backbone, and the state of the generator once it is built."""
    torch.manual_seed(seed)
    backbone = build_backbone(config_of(kind)).eval()
    randomise(backbone, seed)
    with torch.no_grad():
        # Near 0 and nearly constant otherwise: stretch it, so that the gate opens and closes.
        head = backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(SCORE_SHIFT[kind])
        if kind in EDGETAM:
            for layer in backbone.sam.memory_attention.layers:
                layer.cross_attn_image.o_proj.weight.mul_(LOUDER)
                layer.cross_attn_image.k_proj.weight.mul_(LOUDER)
    return backbone, torch.get_rng_state()
