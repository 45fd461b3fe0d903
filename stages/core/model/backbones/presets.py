"""Configurations: a tiny SAM 2 for the toy pipeline and the tests, and the published ones."""

from __future__ import annotations

from typing import Any

from schemas.errors import ConfigError

SIZE_MULTIPLE = 32
TOY_CHANNELS = 128
TOY_WIDTHS = (24, 48, 96, 192)
PUBLISHED_SIZE = 1024
SAM3_SIZE = 1008
SAM3_PATCH = 14
_TINY: dict[str, Any] = {
    "hidden_size": 96,
    "num_attention_heads": 1,
    "blocks_per_stage": [1, 2, 7, 2],
    "embed_dim_per_stage": [96, 192, 384, 768],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "global_attention_blocks": [5, 7, 9],
    "window_positional_embedding_background_size": [7, 7],
}
_BASE_PLUS: dict[str, Any] = {
    "hidden_size": 112,
    "num_attention_heads": 2,
    "blocks_per_stage": [2, 3, 16, 3],
    "embed_dim_per_stage": [112, 224, 448, 896],
    "num_attention_heads_per_stage": [2, 4, 8, 16],
    "global_attention_blocks": [12, 16, 20],
    "window_positional_embedding_background_size": [14, 14],
}
_LARGE: dict[str, Any] = {
    "hidden_size": 144,
    "num_attention_heads": 2,
    "blocks_per_stage": [2, 6, 36, 4],
    "embed_dim_per_stage": [144, 288, 576, 1152],
    "num_attention_heads_per_stage": [2, 4, 8, 16],
    "window_size_per_stage": [8, 4, 16, 8],
    "global_attention_blocks": [23, 33, 43],
    "window_positional_embedding_background_size": [7, 7],
}
_TOY_DECODER: dict[str, Any] = {
    "hidden_size": TOY_CHANNELS,
    "mlp_dim": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "attention_downsample_rate": 2,
    "iou_head_hidden_dim": TOY_CHANNELS,
    "dynamic_multimask_via_stability": False,
}
PUBLISHED = {"tiny": _TINY, "base-plus": _BASE_PLUS, "large": _LARGE}


def toy_preset(size: int = 128) -> Any:
    """Configuration of a SAM 2 video model with 2.2 million parameters.

    Args:
        size: image side in pixels, a multiple of 32 (the coarsest window of the encoder).

    Returns:
        A ``Sam2VideoConfig``.

    Raises:
        ConfigError: the size is not a multiple of 32.
    """
    from transformers import Sam2VideoConfig

    if size < SIZE_MULTIPLE or size % SIZE_MULTIPLE:
        raise ConfigError(f"image size {size} is not a multiple of {SIZE_MULTIPLE}")
    return Sam2VideoConfig(
        vision_config=_vision(size),
        prompt_encoder_config={
            "hidden_size": TOY_CHANNELS,
            "image_size": size,
            "patch_size": 16,
            "mask_input_channels": 16,
        },
        mask_decoder_config=dict(_TOY_DECODER),
        image_size=size,
        num_maskmem=7,
        memory_attention_hidden_size=TOY_CHANNELS,
        memory_attention_num_layers=2,
        memory_attention_num_attention_heads=1,
        memory_attention_feed_forward_hidden_size=256,
        memory_attention_rope_feat_sizes=[size // 16, size // 16],
        memory_encoder_hidden_size=TOY_CHANNELS,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=TOY_CHANNELS,
        memory_fuser_embed_dim=TOY_CHANNELS,
        memory_fuser_intermediate_dim=256,
        memory_fuser_layer_scale_init_value=0.1,
        # Dropout in a model this small only slows it down; SAM 2 ships with 0.1.
        memory_attention_dropout=0.0,
        memory_attention_rope_dropout=0.0,
    )


def _vision(size: int) -> dict[str, Any]:
    """The Hiera encoder and its feature pyramid."""
    return {
        "model_type": "sam2_vision_model",
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": TOY_WIDTHS[0],
            "num_attention_heads": 1,
            "image_size": [size, size],
            "blocks_per_stage": [1, 1, 2, 1],
            "embed_dim_per_stage": list(TOY_WIDTHS),
            "num_attention_heads_per_stage": [1, 2, 4, 8],
            "window_size_per_stage": [8, 4, 8, 4],
            "global_attention_blocks": [3],
            "num_query_pool_stages": 3,
            "window_positional_embedding_background_size": [7, 7],
        },
        "backbone_channel_list": list(reversed(TOY_WIDTHS)),
        "backbone_feature_sizes": [[size // stride, size // stride] for stride in (4, 8, 16)],
        "fpn_hidden_size": TOY_CHANNELS,
        "fpn_top_down_levels": [2, 3],
        "num_feature_levels": 3,
    }


def sam21_preset(name: str, size: int = PUBLISHED_SIZE) -> Any:
    """Configuration of a published SAM 2.1; its weights are Meta's and not included.

    Args:
        name: one of ``PUBLISHED``.
        size: image side in pixels.

    Returns:
        A ``Sam2VideoConfig``; for random weights in tests and benchmarks of real size.
    """
    from transformers import Sam2VideoConfig

    hiera = PUBLISHED[name]
    sides = [[size // stride, size // stride] for stride in (4, 8, 16)]
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "image_size": [size, size],
                **hiera,
            },
            "backbone_channel_list": list(reversed(hiera["embed_dim_per_stage"])),
            "backbone_feature_sizes": sides,
        },
        prompt_encoder_config={"image_size": size},
        image_size=size,
        memory_attention_rope_feat_sizes=sides[-1],
    )


def edgetam_preset(size: int = PUBLISHED_SIZE) -> Any:
    """Configuration of the published EdgeTAM; its weights are Meta's and not included.

    Args:
        size: image side in pixels, a multiple of 256 (16 windows of the memory at stride 16).

    Returns:
        An ``EdgeTamVideoConfig``; for random weights in tests and benchmarks of real size. Its
        image encoder needs timm.
    """
    from transformers import EdgeTamVideoConfig, EdgeTamVisionConfig, TimmWrapperConfig

    sides = [[size // stride, size // stride] for stride in (4, 8, 16)]
    encoder = TimmWrapperConfig(
        architecture="repvit_m1",
        model_args={"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    )
    return EdgeTamVideoConfig(
        vision_config=EdgeTamVisionConfig(backbone_config=encoder, backbone_feature_sizes=sides),
        prompt_encoder_config={"image_size": size},
        image_size=size,
        memory_attention_rope_feat_sizes=sides[-1],
        # The published weights have neither.
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def sam3_preset(size: int = SAM3_SIZE) -> Any:
    """Configuration of the published SAM 3's tracker; its weights are Meta's and not included.

    Args:
        size: image side in pixels, a multiple of 14 (the patches of its encoder).

    Returns:
        A ``Sam3TrackerVideoConfig``, 460 million parameters; for random weights in tests and
        benchmarks of real size.

    Raises:
        ConfigError: the size is not a multiple of 14.
    """
    from transformers import Sam3TrackerVideoConfig

    if size < SAM3_PATCH or size % SAM3_PATCH:
        raise ConfigError(f"image size {size} is not a multiple of {SAM3_PATCH}")
    return Sam3TrackerVideoConfig(image_size=size)
