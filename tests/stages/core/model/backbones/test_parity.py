"""With the text side off we are SAM 2, EdgeTAM or SAM 3: equal to transformers' own session."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from sessions import MEMORY_DTYPE, Answers, Session
from tiny_backbones import KINDS, random_backbone
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.prompted import PromptedTracker, TrackedFrame, track_prompted
from stages.core.model.backbones.records import Prompts

TOLERANCE = 1e-5
FAMILIES = ("sam2", "sam3", "edgetam")
PROMPTED = [([0], False), ([5], True), ([2], False), ([2], True), ([1, 4], False), ([1, 4], True)]
"""Prompted frames, and whether tracking runs in reverse."""


def clips() -> list[object]:
    """Backbone, objects, prompted frames, reverse: all of each family, the ends of the others.

    One object, a batch of one, is tracked from one frame in each direction; from others by
    `make test-slow` alone.
    """
    return [
        pytest.param(
            kind, objects, frames, reverse, marks=slow(objects == 1 and frames[0] not in (0, 5))
        )
        for kind in KINDS
        for objects in (1, 3)
        for frames, reverse in (PROMPTED if kind in FAMILIES else PROMPTED[:2])
    ]


def corrections() -> list[object]:
    """Family and kind of prompt: `make test` has masks, and two of the others in turn."""
    return [
        pytest.param(family, make, marks=slow(make in CLICKS and (row + place) % 2))
        for row, family in enumerate(FAMILIES)
        for place, make in enumerate([*CLICKS, masks_at])
    ]


def slow(marked: object) -> tuple[pytest.MarkDecorator, ...]:
    """Marks of a case that `make test` leaves out."""
    return (pytest.mark.slow,) if marked else ()


@pytest.fixture
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """Of the kind that the test is parametrised with."""
    return random_backbone(kind=request.param)


@pytest.fixture
def pixels(backbone: Backbone, pixels: Tensor) -> Tensor:
    """(6, 3, S, S): the clip, cut to the backbone's size."""
    return pixels[..., : backbone.image_size, : backbone.image_size]


def masks_at(frame: int, objects: int, size: int) -> Prompts:
    """One rectangle an object, moving with the frame."""
    masks = torch.zeros(objects, size, size)
    for row in range(objects):
        masks[row, 6 + 12 * row : 26 + 12 * row, 5 + frame : 25 + frame] = 1
    return Prompts(mask=masks)


def boxes_at(frame: int, objects: int, size: int) -> Prompts:
    """The masks' rectangles; a fraction of a pixel must count."""
    rows = [[5.25 + frame, 6.0 + 12 * row, 25.0 + frame, 26.5 + 12 * row] for row in range(objects)]
    return Prompts(boxes=torch.tensor(rows))


def point_at(frame: int, objects: int, size: int) -> Prompts:
    """One inside of each rectangle."""
    rows = [[[15.0 + frame, 16.5 + 12 * row]] for row in range(objects)]
    return Prompts(points=torch.tensor(rows), labels=torch.ones(objects, 1, dtype=torch.long))


def points_at(frame: int, objects: int, size: int) -> Prompts:
    """One inside of each rectangle, one outside."""
    inside = point_at(frame, objects, size)
    assert inside.points is not None
    outside = torch.tensor([[3.0, 50.0 - 12 * row] for row in range(objects)]).unsqueeze(1)
    labels = torch.tensor([[1, 0]]).expand(objects, -1)
    return Prompts(points=torch.cat([inside.points, outside], dim=1), labels=labels)


def box_and_points_at(frame: int, objects: int, size: int) -> Prompts:
    points = points_at(frame, objects, size)
    return Prompts(
        points=points.points, labels=points.labels, boxes=boxes_at(frame, objects, size).boxes
    )


MakePrompts = Callable[[int, int, int], Prompts]
CLICKS = (boxes_at, point_at, points_at, box_and_points_at)


def clicks() -> list[object]:
    """Kind of prompt, objects, reverse: `make test` has each kind with each of the others."""
    return [
        pytest.param(make, objects, reverse, marks=slow((number + (objects == 3) + reverse) % 2))
        for number, make in enumerate(CLICKS)
        for objects in (1, 3)
        for reverse in (False, True)
    ]


def session_answers(
    backbone: Backbone, pixels: Tensor, prompts: Mapping[int, Prompts], *, reverse: bool
) -> Answers:
    """What transformers gives for prompts on some frames, all read before tracking."""
    session = Session(backbone, pixels, len(next(iter(prompts.values()))))
    answers: Answers = {}
    for frame, given in prompts.items():
        answers |= session.prompt(frame, given)
    start = max(prompts) if reverse else min(prompts)
    return answers | session.track(start, reverse=reverse)


def assert_equal(own: Mapping[int, TrackedFrame], expected: Answers) -> None:
    assert set(own) == set(expected)
    for frame, (masks, scores) in expected.items():
        assert (own[frame].gated_logits - masks).abs().max() <= TOLERANCE
        assert (own[frame].decoded.object_score - scores).abs().max() <= TOLERANCE


def check_tracks(
    backbone: Backbone, pixels: Tensor, prompts: Mapping[int, Prompts], *, reverse: bool
) -> None:
    """Compare whole tracks with the session's."""
    expected = session_answers(backbone, pixels, prompts, reverse=reverse)
    own = track_prompted(
        backbone,
        backbone.encode(pixels),
        prompts,
        reverse=reverse,
        memory_dtype=MEMORY_DTYPE[backbone.sam.config.model_type],
    )
    assert len(expected) > len(prompts)
    assert_equal(own, expected)


@pytest.mark.parametrize(
    ("backbone", "objects", "prompted", "reverse"), clips(), indirect=["backbone"]
)
@torch.no_grad()
def test_mask_prompted_tracking_equals_the_session(
    backbone: Backbone, pixels: Tensor, objects: int, prompted: list[int], reverse: bool
) -> None:
    size = backbone.image_size
    prompts = {frame: masks_at(frame, objects, size) for frame in prompted}
    check_tracks(backbone, pixels, prompts, reverse=reverse)


@pytest.mark.parametrize(("make", "objects", "reverse"), clicks())
@pytest.mark.parametrize("backbone", FAMILIES, indirect=True)
@torch.no_grad()
def test_click_prompted_tracking_equals_the_session(
    backbone: Backbone, pixels: Tensor, make: MakePrompts, objects: int, reverse: bool
) -> None:
    frame = 3 if reverse else 2
    prompts = {frame: make(frame, objects, backbone.image_size)}
    check_tracks(backbone, pixels, prompts, reverse=reverse)


@pytest.mark.parametrize("stable", [0.0, 1.1])
@pytest.mark.parametrize("backbone", FAMILIES, indirect=True)
@torch.no_grad()
def test_an_unstable_mask_gives_way_to_the_best_of_three_as_in_the_session(
    backbone: Backbone, pixels: Tensor, stable: float
) -> None:
    """On in published weights; where three candidates are decoded anyway it has no effect."""
    decoder = backbone.sam.mask_decoder
    decoder.dynamic_multimask_via_stability = True
    decoder.dynamic_multimask_stability_thresh = stable  # all masks are stable, or none
    prompts = {0: boxes_at(0, 3, backbone.image_size)}
    check_tracks(backbone, pixels, prompts, reverse=False)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_prompts_of_several_kinds_on_several_frames_equal_the_session(
    backbone: Backbone, pixels: Tensor, reverse: bool
) -> None:
    """Prompts that come later in time than the frame that reads them count too."""
    size = backbone.image_size
    prompts = {4: boxes_at(4, 3, size), 1: masks_at(1, 3, size), 2: points_at(2, 3, size)}
    check_tracks(backbone, pixels, prompts, reverse=reverse)


@pytest.mark.parametrize("most", [2, 3])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("backbone", FAMILIES, indirect=True)
@torch.no_grad()
def test_where_the_model_limits_the_prompted_frames_the_same_ones_are_read(
    backbone: Backbone, pixels: Tensor, reverse: bool, most: int
) -> None:
    backbone.sam.config.max_cond_frame_num = most
    size = backbone.image_size
    prompts = {frame: masks_at(frame, 1, size) for frame in (0, 1, 2, 5)}
    check_tracks(backbone, pixels, prompts, reverse=reverse)


@pytest.mark.parametrize(("backbone", "make"), corrections(), indirect=["backbone"])
@torch.no_grad()
def test_a_correction_reads_the_memory_and_is_remembered_as_in_the_session(
    backbone: Backbone, pixels: Tensor, make: MakePrompts
) -> None:
    size, objects = backbone.image_size, 3
    first, later = masks_at(0, objects, size), make(3, objects, size)
    session = Session(backbone, pixels, objects)
    expected = session.prompt(0, first) | session.track(0)
    corrected = session.prompt(3, later)
    after = session.track(4)

    features = backbone.encode(pixels)
    dtype = MEMORY_DTYPE[backbone.sam.config.model_type]
    tracker = PromptedTracker(backbone, len(pixels), memory_dtype=dtype)
    own = {}
    for frame in range(len(pixels)):
        prompts = first if frame == 0 else None
        own[frame] = tracker.step(frame, features[[frame] * objects], prompts)
    assert_equal(own, expected)
    before = own[5]
    own = {3: tracker.step(3, features[[3] * objects], later, correct=True)}
    own |= {frame: tracker.step(frame, features[[frame] * objects]) for frame in (4, 5)}
    assert_equal(own, corrected | after)
    moved = own[5].decoded.mask_logits - before.decoded.mask_logits
    assert moved.abs().max() > TOLERANCE


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_the_compared_clips_open_and_close_the_gate(backbone: Backbone, pixels: Tensor) -> None:
    """Parity would say little on blank masks."""
    prompts = {0: masks_at(0, 3, backbone.image_size)}
    answers = session_answers(backbone, pixels, prompts, reverse=False)
    scores = torch.stack([scores for frame, (_, scores) in answers.items() if frame])
    assert (scores > 0).any()
    assert (scores <= 0).any()


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@torch.no_grad()
def test_one_object_in_each_of_two_clips_equals_clip_by_clip(
    backbone: Backbone, pixels: Tensor
) -> None:
    """The pretraining layout: row i of ``frames`` is object i's own clip."""
    features = backbone.encode(torch.cat([pixels, pixels.flip(0)]))
    masks = masks_at(0, 2, backbone.image_size).mask
    assert masks is not None
    frames = torch.arange(12).view(2, 6)
    both = track_prompted(backbone, features, {0: Prompts(mask=masks)}, frames=frames)
    for row in range(2):
        clip = features[frames[row]]
        one = track_prompted(backbone, clip, {0: Prompts(mask=masks[[row]])})
        for frame, answer in one.items():
            mine = both[frame].decoded.mask_logits[row]
            assert (mine - answer.decoded.mask_logits[0]).abs().max() <= TOLERANCE
