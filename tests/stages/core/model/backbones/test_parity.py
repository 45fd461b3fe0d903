"""With the text side off we are SAM 2, EdgeTAM or SAM 3: equal to transformers' own session."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import KINDS, random_backbone
from torch import Tensor
from transformers import (
    EdgeTamVideoInferenceSession,
    Sam2VideoInferenceSession,
    Sam3TrackerVideoInferenceSession,
)

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.prompted import track_prompted
from stages.core.model.backbones.records import Prompts

TOLERANCE = 1e-5
SESSIONS = {
    "sam2_video": Sam2VideoInferenceSession,
    "edgetam_video": EdgeTamVideoInferenceSession,
    "sam3_tracker_video": Sam3TrackerVideoInferenceSession,
}
MEMORY_DTYPE = {
    "sam2_video": torch.bfloat16,
    "sam3_tracker_video": torch.bfloat16,
    "edgetam_video": None,
}
"""SAM 2's session keeps memories in bfloat16 (without that the difference is 5e-5), EdgeTAM's as
they come."""
PROMPTED = [([0], False), ([5], True), ([2], False), ([2], True), ([1, 4], False), ([1, 4], True)]
"""Prompted frames, and whether tracking runs in reverse."""


def clips() -> list[tuple[str, int, list[int], bool]]:
    """Backbone, objects, prompted frames, reverse: all of three kinds, the ends of the others."""
    return [
        (kind, objects, prompted, reverse)
        for kind in KINDS
        for objects in (1, 3)
        for prompted, reverse in (PROMPTED if kind in KINDS[:3] else PROMPTED[:2])
    ]


@pytest.fixture
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """Of the kind that the test is parametrised with."""
    return random_backbone(kind=request.param)


@pytest.fixture
def pixels(backbone: Backbone, pixels: Tensor) -> Tensor:
    """(6, 3, S, S): the clip, cut to the backbone's size."""
    return pixels[..., : backbone.image_size, : backbone.image_size]


def new_session(backbone: Backbone, pixels: Tensor) -> Sam2VideoInferenceSession:
    """transformers' state of one video."""
    size = backbone.image_size
    session = SESSIONS[backbone.sam.config.model_type]
    return session(video=pixels, video_height=size, video_width=size, dtype=torch.float32)


def object_masks(frame: int, objects: int, size: int) -> Tensor:
    """(objects, size, size) one rectangle an object, moving with the frame."""
    masks = torch.zeros(objects, size, size)
    for row in range(objects):
        masks[row, 6 + 12 * row : 26 + 12 * row, 5 + frame : 25 + frame] = 1
    return masks


def session_answers(
    backbone: Backbone, pixels: Tensor, prompted: list[int], objects: int, *, reverse: bool
) -> dict[int, tuple[Tensor, Tensor]]:
    """frame -> gated masks (objects, s, s) and object scores (objects,), from transformers."""
    size = backbone.image_size
    session = new_session(backbone, pixels)
    outs = []
    for frame in prompted:
        masks = object_masks(frame, objects, size)
        for row in range(objects):
            index = session.obj_id_to_idx(row + 1)
            session.add_mask_inputs(index, frame, masks[row][None, None])
        session.obj_with_new_inputs = list(range(1, objects + 1))
        outs.append(backbone.sam(session, frame_idx=frame))
    start = max(prompted) if reverse else min(prompted)
    outs += backbone.sam.propagate_in_video_iterator(
        session, start_frame_idx=start, reverse=reverse
    )
    return {
        out.frame_idx: (out.pred_masks[:, 0].clone(), out.object_score_logits.flatten().clone())
        for out in outs
    }


@pytest.mark.parametrize(
    ("backbone", "objects", "prompted", "reverse"), clips(), indirect=["backbone"]
)
@torch.no_grad()
def test_mask_prompted_tracking_equals_the_session(
    backbone: Backbone, pixels: Tensor, objects: int, prompted: list[int], reverse: bool
) -> None:
    expected = session_answers(backbone, pixels, prompted, objects, reverse=reverse)
    prompts = {
        frame: Prompts(mask=object_masks(frame, objects, backbone.image_size)) for frame in prompted
    }
    own = track_prompted(
        backbone,
        backbone.encode(pixels),
        prompts,
        reverse=reverse,
        memory_dtype=MEMORY_DTYPE[backbone.sam.config.model_type],
    )
    assert set(own) == set(expected)
    assert len(expected) > len(prompted)
    for frame, (masks, scores) in expected.items():
        assert (own[frame].gated_logits - masks).abs().max() <= TOLERANCE
        assert (own[frame].decoded.object_score - scores).abs().max() <= TOLERANCE


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_the_compared_clips_open_and_close_the_gate(backbone: Backbone, pixels: Tensor) -> None:
    """Parity would say little on blank masks."""
    answers = session_answers(backbone, pixels, [0], 3, reverse=False)
    scores = torch.stack([scores for frame, (_, scores) in answers.items() if frame])
    assert (scores > 0).any()
    assert (scores <= 0).any()


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_point_prompted_tracking_equals_the_session(backbone: Backbone, pixels: Tensor) -> None:
    points, labels = torch.tensor([[[20.0, 28.0]]]), torch.tensor([[1]])
    session = new_session(backbone, pixels)
    index = session.obj_id_to_idx(1)
    session.add_point_inputs(
        index, 0, {"point_coords": points.unsqueeze(1), "point_labels": labels.unsqueeze(1)}
    )
    session.obj_with_new_inputs = [1]
    backbone.sam(session, frame_idx=0)
    own = track_prompted(
        backbone,
        backbone.encode(pixels),
        {0: Prompts(points=points, labels=labels)},
        memory_dtype=MEMORY_DTYPE[backbone.sam.config.model_type],
    )
    for out in backbone.sam.propagate_in_video_iterator(session, start_frame_idx=0):
        mine = own[out.frame_idx]
        assert (mine.gated_logits - out.pred_masks[:, 0]).abs().max() <= TOLERANCE
        assert (mine.decoded.object_score - out.object_score_logits[0]).abs() <= TOLERANCE


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_one_object_in_each_of_two_clips_equals_clip_by_clip(
    backbone: Backbone, pixels: Tensor
) -> None:
    """The pretraining layout: row i of ``frames`` is object i's own clip."""
    features = backbone.encode(torch.cat([pixels, pixels.flip(0)]))
    masks = object_masks(0, 2, backbone.image_size)
    frames = torch.arange(12).view(2, 6)
    both = track_prompted(backbone, features, {0: Prompts(mask=masks)}, frames=frames)
    for row in range(2):
        clip = features[frames[row]]
        one = track_prompted(backbone, clip, {0: Prompts(mask=masks[[row]])})
        for frame, answer in one.items():
            mine = both[frame].decoded.mask_logits[row]
            assert (mine - answer.decoded.mask_logits[0]).abs().max() <= TOLERANCE
