"""SAM 3's published folder, a detector and a tracker over one image encoder.

Runs in ``tests/test_torchvision.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_operators
from tiny_backbones import SAM3_SIZE, randomise, tiny_sam3_video
from torch import Tensor
from transformers import Sam3ImageProcessor, Sam3Model, Sam3VideoModel

from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.backbones.sam3 import Sam3Backbone, sam3_pixels

torchvision_operators.require()


@pytest.fixture(scope="module")
def video() -> Sam3VideoModel:
    """Detector and tracker with random weights."""
    torch.manual_seed(0)
    model = Sam3VideoModel(tiny_sam3_video()).eval()
    randomise(model, 0)
    return model


@pytest.fixture(scope="module")
def folder(video: Sam3VideoModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout: keys under detector_model., tracker_model. and tracker_neck."""
    path = tmp_path_factory.mktemp("sam3")
    video.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Sam3Backbone:
    loaded = load_backbone(folder)
    assert isinstance(loaded, Sam3Backbone)
    return loaded.eval()


@pytest.fixture
def frames() -> Tensor:
    """Uint8 (3, 3, S, S)."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (3, 3, SAM3_SIZE, SAM3_SIZE), generator=generator).byte()


def test_the_tracker_is_loaded_with_the_shared_encoder_and_its_own_neck(
    video: Sam3VideoModel, tracker: Sam3Backbone
) -> None:
    parts = {
        "": video.tracker_model,
        "vision_encoder.backbone.": video.detector_model.vision_encoder.backbone,
        "vision_encoder.neck.": video.tracker_neck,
    }
    expected = {
        prefix + name: tensor
        for prefix, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    loaded = tracker.sam.state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items())


@torch.no_grad()
def test_one_encoder_pass_serves_detector_and_tracker(
    folder: Path, tracker: Sam3Backbone, frames: Tensor
) -> None:
    detector = Sam3Model.from_pretrained(folder).eval()
    pixels = sam3_pixels(frames)
    shared = detector.get_vision_features(pixels)
    from_pixels = tracker.encode_frames(frames).as_tensors()
    from_shared = tracker.encode_from(shared.last_hidden_state).as_tensors()
    for name, tensor in from_pixels.items():
        assert torch.equal(tensor, from_shared[name]), name


@torch.no_grad()
def test_features_equal_those_of_the_published_pipeline(
    video: Sam3VideoModel, tracker: Sam3Backbone, frames: Tensor
) -> None:
    """transformers' own model makes the tracker's features from the detector's in this way."""
    pixels = sam3_pixels(frames)
    shared = video.detector_model.get_vision_features(pixels)
    levels, positions = video.get_vision_features_for_tracker(shared)
    features = tracker.encode_from(shared.last_hidden_state)
    for own, level in zip((features.fine, features.middle, features.coarse), levels, strict=True):
        assert torch.equal(own.flatten(2).permute(2, 0, 1), level)
    assert torch.equal(features.position.flatten(2).permute(2, 0, 1), positions[-1][:, :1])


def test_pixels_equal_the_processors() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)
    size = {"height": SAM3_SIZE, "width": SAM3_SIZE}
    theirs = Sam3ImageProcessor(size=size)(image, return_tensors="pt")["pixel_values"]
    resized = resize_frames(image[None], SAM3_SIZE)
    assert torch.equal(sam3_pixels(resized), theirs)
