"""The same weights on frames of another size: equal to transformers' model of that size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from sessions import MEMORY_DTYPE, Session
from tiny_backbones import random_backbone, tiny_edgetam, tiny_sam3

from schemas.errors import ConfigError
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import FAMILIES, backbone_of, load_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.backbones.prompted import track_prompted
from stages.core.model.backbones.records import Prompts

TOLERANCE = 1e-5
CONFIGS: dict[str, Callable[[int], Any]] = {
    "sam2": toy_preset,
    "edgetam": tiny_edgetam,
    "sam3": tiny_sam3,
}
SIZES = [("sam2", 96, 4), ("sam2", 512, 2), ("edgetam", 128, 3), ("sam3", 84, 4), ("sam3", 70, 3)]
"""Kind, side and frames; 70 is five patches, which the encoder's windows of two do not divide."""


def saved(kind: str, folder: Path) -> Path:
    random_backbone(kind=kind).sam.save_pretrained(folder)
    return folder


def of_transformers(kind: str, size: int, folder: Path) -> Backbone:
    """transformers' model, configured for the size, with the folder's weights."""
    config = CONFIGS[kind](size)
    family = FAMILIES[config.model_type]
    model = getattr(transformers, family.model).from_pretrained(folder, config=config)
    return family.wrap(model).eval()


@pytest.mark.parametrize(("kind", "size", "frames"), SIZES)
@torch.no_grad()
def test_tracks_equal_those_of_transformers_model_of_that_size(
    tmp_path: Path, kind: str, size: int, frames: int
) -> None:
    folder = saved(kind, tmp_path / kind)
    resized = load_backbone(folder, image_size=size).eval()
    assert resized.image_size == size
    pixels = torch.randn(frames, 3, size, size, generator=torch.Generator().manual_seed(0))
    box = Prompts(boxes=torch.tensor([[0.1, 0.2, 0.5, 0.7]]) * size)
    session = Session(of_transformers(kind, size, folder), pixels, 1)
    expected = session.prompt(0, box) | session.track(0)
    dtype = MEMORY_DTYPE[resized.sam.config.model_type]
    own = track_prompted(resized, resized.encode(pixels), {0: box}, memory_dtype=dtype)
    assert set(own) == set(expected) == set(range(frames))
    for frame, (masks, scores) in expected.items():
        assert (own[frame].gated_logits - masks).abs().max() <= TOLERANCE
        assert (own[frame].decoded.object_score - scores).abs().max() <= TOLERANCE


@pytest.mark.parametrize("kind", CONFIGS)
def test_weights_and_the_rest_of_the_configuration_stay(tmp_path: Path, kind: str) -> None:
    folder = saved(kind, tmp_path / kind)
    own, resized = load_backbone(folder), load_backbone(folder, image_size=224)
    assert resized.image_size == 224
    before, after = own.state_dict(), resized.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    again = backbone_of(resized.to_config(), tmp_path)  # as a checkpoint would keep it
    assert again.image_size == 224
    again.resize(again.sam.config, own.image_size)
    assert again.to_config() == own.to_config()


def test_zero_is_the_folders_own_size(tmp_path: Path) -> None:
    assert load_backbone(saved("sam2", tmp_path / "sam2"), image_size=0).image_size == 64


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("sam2", 100, r"100 is not a multiple of 32.*choose 96 or 128"),
        ("sam2", 16, r"16 is not a multiple of 32.*choose 32 or 64"),
        ("sam2", -64, r"-64 is not a multiple of 32.*choose 32 or 64"),
        ("edgetam", 80, r"80 is not a multiple of 32.*choose 64 or 96"),
        ("sam3", 512, r"512 is not a multiple of 14.*choose 504 or 518"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_nearest(
    tmp_path: Path, kind: str, size: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_backbone(saved(kind, tmp_path / kind), image_size=size)
    assert "\n" not in str(caught.value)
    assert "--image-size" in str(caught.value)


def test_the_windows_of_encoder_and_latents_set_the_steps() -> None:
    sam2, edgetam = toy_preset(64), tiny_edgetam(64)
    sam2.vision_config.backbone_config.window_size_per_stage = [14, 4, 8, 4]
    edgetam.perceiver_resampler_num_latents_2d = 256  # as published
    assert FAMILIES["sam2_video"].wrap.size_step(sam2) == 224
    assert FAMILIES["edgetam_video"].wrap.size_step(edgetam) == 256


def test_half_the_side_is_a_quarter_of_the_features(tmp_path: Path) -> None:
    folder = saved("sam2", tmp_path / "sam2")
    with torch.no_grad():
        large, small = (
            load_backbone(folder, image_size=size).encode(torch.zeros(1, 3, size, size))
            for size in (128, 64)
        )
    assert large.nbytes == 4 * small.nbytes
