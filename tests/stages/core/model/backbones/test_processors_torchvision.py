"""From decoded frames and prompts in their pixels: equal to transformers' processors and sessions.

Runs in ``tests/test_torchvision.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision_operators
from tiny_backbones import random_backbone
from torch import Tensor
from transformers import (
    Sam2ImageProcessor,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam3ImageProcessor,
    Sam3TrackerVideoProcessor,
)

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.backbones.prompted import track_prompted
from stages.core.model.backbones.records import Prompts

torchvision_operators.require()
TOLERANCE = 1e-5
HEIGHT, WIDTH, FRAMES = 45, 80, 5
PROCESSORS = {
    "sam2": (Sam2VideoProcessor, Sam2ImageProcessor),
    "sam3": (Sam3TrackerVideoProcessor, Sam3ImageProcessor),
}
BOX = (10.0, 5.5, 41.0, 33.0)
POINTS, LABELS = ((24.5, 18.0), (70.0, 40.0)), (1, 0)


def video() -> np.ndarray:
    """(T, H, W, 3) noise with a bright square that moves."""
    frames = np.random.default_rng(3).integers(0, 160, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(FRAMES):
        frames[t, 8:30, 12 + 5 * t : 38 + 5 * t] += 90
    return frames


def mask() -> np.ndarray:
    """(H, W) bool."""
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[8:30, 12:38] = True
    return found


def theirs(backbone: Backbone, kind: str, prompt: str) -> dict[int, Tensor]:
    """frame -> gated logits, by transformers' own classes alone."""
    whole, images = PROCESSORS[kind]
    image = images(size={"height": backbone.image_size, "width": backbone.image_size})
    # SAM 3 has no class of its own for videos: its folder sets the numbers of SAM 2's.
    frames = Sam2VideoVideoProcessor(
        size=image.size, image_mean=image.image_mean, image_std=image.image_std
    )
    processor = whole(image_processor=image, video_processor=frames)
    session = processor.init_video_session(video=list(video()), dtype=torch.float32)
    given = {
        "mask": {"input_masks": mask()},
        "box": {"input_boxes": [[list(BOX)]]},
        "points": {
            "input_points": [[[list(point) for point in POINTS]]],
            "input_labels": [[list(LABELS)]],
        },
    }[prompt]
    processor.add_inputs_to_inference_session(session, frame_idx=0, obj_ids=1, **given)
    backbone.sam(session, frame_idx=0)
    outs = backbone.sam.propagate_in_video_iterator(session, start_frame_idx=0)
    return {out.frame_idx: out.pred_masks[:, 0].clone() for out in outs}


def own_prompts(backbone: Backbone, prompt: str) -> Prompts:
    """The same prompts in pixels of the model's frames."""
    side = backbone.image_size
    scale = torch.tensor([side / WIDTH, side / HEIGHT])
    if prompt == "mask":
        pixels = torch.from_numpy(mask()).float()[None, None]
        resized = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
        return Prompts(mask=(resized[0] >= 0.5).float())
    if prompt == "box":
        return Prompts(boxes=torch.tensor([BOX]) * scale.repeat(2))
    return Prompts(points=torch.tensor([POINTS]) * scale, labels=torch.tensor([LABELS]))


@pytest.mark.parametrize("prompt", ["mask", "box", "points"])
@pytest.mark.parametrize("kind", PROCESSORS)
@torch.no_grad()
def test_tracks_of_decoded_frames_equal_transformers(kind: str, prompt: str) -> None:
    backbone = random_backbone(kind=kind)
    expected = theirs(backbone, kind, prompt)
    features = backbone.encode_frames(resize_frames(video(), backbone.image_size))
    prompts = {0: own_prompts(backbone, prompt)}
    own = track_prompted(backbone, features, prompts, memory_dtype=torch.bfloat16)
    assert set(own) == set(expected) == set(range(FRAMES))
    for frame, logits in expected.items():
        assert (own[frame].gated_logits - logits).abs().max() <= TOLERANCE
