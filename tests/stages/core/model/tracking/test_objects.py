"""Tracking of many objects: equal to each object alone, few encodings, bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import pytest
import torch
from tiny_backbones import SIZE, random_backbone
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.prompted import TrackedFrame, track_prompted
from stages.core.model.backbones.records import Prompts
from stages.core.model.tracking import engine
from stages.core.model.tracking.objects import Direction, segment_prompts, track_objects
from stages.core.model.tracking.prompts import ObjectPrompts
from stages.core.model.tracking.sources import ClipFeatures, SparseFeatures

TOLERANCE = 1e-5
LONG = 40
"""More frames than a bank keeps."""


def mask_at(frame: int, row: int = 0) -> Prompts:
    mask = torch.zeros(1, SIZE, SIZE)
    mask[0, 6 + 12 * row : 26 + 12 * row, 5 + frame : 25 + frame] = 1
    return Prompts(mask=mask)


def box_at(frame: int) -> Prompts:
    return Prompts(boxes=torch.tensor([[4.0 + 6 * frame, 20.0, 20.0 + 6 * frame, 36.0]]))


def points_at(frame: int, *labels: int) -> Prompts:
    points = [[20.0 + frame + 9 * place, 28.0] for place in range(len(labels))]
    return Prompts(points=torch.tensor([points]), labels=torch.tensor([labels]))


OBJECTS: list[ObjectPrompts] = [
    {2: box_at(2)},
    {0: points_at(0, 1)},
    {4: points_at(4, 1, 0), 1: mask_at(1)},
    {5: mask_at(5, 1)},
    {2: box_at(2), 3: box_at(3)},
    {2: mask_at(2, 2)},
]
"""Of every kind of prompt, on one and on several frames, which start at the same and at other
frames."""


def collected(
    backbone: Backbone,
    source: ClipFeatures | SparseFeatures,
    objects: Sequence[ObjectPrompts],
    direction: Direction = "both",
) -> dict[tuple[int, int], tuple[Tensor, Tensor, bool]]:
    """(object, frame) -> gated logits, object score, prompted; each once."""
    found: dict[tuple[int, int], tuple[Tensor, Tensor, bool]] = {}
    for batch in track_objects(backbone, source, objects, direction=direction):
        for row, number in enumerate(batch.objects):
            key = number, batch.frame
            assert key not in found
            score = batch.decoded.object_score[row]
            found[key] = batch.gated_logits[row], score, batch.prompted
    return found


@torch.no_grad()
def alone(
    backbone: Backbone, features: FrameFeatures, prompts: ObjectPrompts, direction: Direction
) -> dict[int, TrackedFrame]:
    """One object by ``track_prompted``, whose results equal the session's (test_parity.py)."""
    if direction != "both":
        return track_prompted(backbone, features, prompts, reverse=direction == "backward")
    before = range(min(prompts) - 1, -1, -1)
    backward = track_prompted(backbone, features, prompts, order=before, reverse=True)
    return backward | track_prompted(backbone, features, prompts)


@pytest.mark.parametrize("kind", ["sam2", "edgetam"])
@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_every_object_is_tracked_as_if_it_were_alone(
    kind: str, direction: Direction, pixels: Tensor
) -> None:
    backbone = random_backbone(kind=kind)
    with torch.no_grad():
        features = backbone.encode(pixels)
    found = collected(backbone, ClipFeatures(features), OBJECTS, direction)
    expected = {
        (number, frame): result
        for number, prompts in enumerate(OBJECTS)
        for frame, result in alone(backbone, features, prompts, direction).items()
    }
    assert set(found) == set(expected)
    for key, result in expected.items():
        logits, score, prompted = found[key]
        assert (logits - result.gated_logits[0]).abs().max() <= TOLERANCE
        assert (score - result.decoded.object_score[0]).abs() <= TOLERANCE
        assert prompted == (key[1] in OBJECTS[key[0]])


def test_both_directions_cover_every_frame(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))
    found = collected(backbone, source, OBJECTS)
    assert len(found) == len(OBJECTS) * len(pixels)


def test_a_video_of_one_frame(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels[:1]))
    found = collected(backbone, source, [{0: box_at(0)}, {0: mask_at(0)}])
    assert set(found) == {(0, 0), (1, 0)}


def test_no_objects_no_frames(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))
    assert not collected(backbone, source, [])


def test_the_backward_direction_does_not_read_the_forward_one(
    backbone: Backbone, pixels: Tensor
) -> None:
    """The frames after the prompt are spoiled: those before it must not change."""
    spoiled = pixels.clone()
    spoiled[4:] = 3.0
    with torch.no_grad():
        sources = [ClipFeatures(backbone.encode(frames)) for frames in (pixels, spoiled)]
    clean, other = (collected(backbone, source, [{3: mask_at(3)}]) for source in sources)
    assert (clean[0, 4][0] - other[0, 4][0]).abs().max() > TOLERANCE
    for frame in range(3):
        assert torch.equal(clean[0, frame][0], other[0, frame][0])


class CountedFeatures:
    """A source that counts how often each frame is asked for."""

    def __init__(self, features: FrameFeatures):
        self.features = features
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.features)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        self.asked += frames
        return self.features[list(frames)]


def long_clip(backbone: Backbone, pixels: Tensor) -> FrameFeatures:
    """Features of a clip that goes back and forth, so that memories of all ages matter."""
    order = [*range(len(pixels)), *range(len(pixels) - 2, 0, -1)]
    with torch.no_grad():
        few = backbone.encode(pixels)
    return few[[order[frame % len(order)] for frame in range(LONG)]]


def test_frames_are_read_in_order_once_per_direction(backbone: Backbone, pixels: Tensor) -> None:
    """After the prompted ones, a frame of each direction in turn."""
    source = CountedFeatures(long_clip(backbone, pixels))
    objects = [{3: box_at(3)}, {20: mask_at(2)}, {0: points_at(0, 1)}]
    for _ in track_objects(backbone, source, objects):
        pass
    assert source.asked[:3] == [0, 3, 20]
    steps = zip_longest(range(LONG), [None, *range(19, -1, -1)])
    expected = [dict.fromkeys(frame for frame in step if frame is not None) for step in steps]
    assert source.asked[3:] == [frame for frames in expected for frame in frames]


def test_both_directions_are_one_batch(
    backbone: Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ClipFeatures(long_clip(backbone, pixels))
    batches, attend = [], backbone.attend

    def counted(coarse, position, memory, rows):  # type: ignore[no-untyped-def]
        batches.append((len(coarse), len(rows)))
        return attend(coarse, position, memory, rows)

    monkeypatch.setattr(backbone, "attend", counted)
    list(track_objects(backbone, source, [{10: box_at(3)}, {10: mask_at(2)}, {10: mask_at(4)}]))
    assert batches == [(2, 6)] * 10 + [(1, 3)] * (LONG - 21)


def test_pruned_banks_give_the_same_masks(backbone: Backbone, pixels: Tensor) -> None:
    features = long_clip(backbone, pixels)
    objects = [{3: box_at(3)}, {20: mask_at(2), 30: mask_at(4)}]
    found = collected(backbone, ClipFeatures(features), objects)
    for number, prompts in enumerate(objects):
        for frame, result in alone(backbone, features, prompts, "both").items():
            assert (found[number, frame][0] - result.gated_logits[0]).abs().max() <= TOLERANCE


def test_a_bank_holds_what_later_frames_read_and_no_more(
    backbone: Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, drop = [], engine.drop_unread

    def measured(bank, frame, backbone):  # type: ignore[no-untyped-def]
        drop(bank, frame, backbone)
        whole = sum(len(entry.features) > 0 for entry in bank.entries)
        sizes.append((len(bank), whole))

    monkeypatch.setattr(engine, "drop_unread", measured)
    for _ in track_objects(backbone, ClipFeatures(long_clip(backbone, pixels)), [{0: mask_at(0)}]):
        pass
    assert max(sizes) == (backbone.max_pointers, backbone.memory_slots)
    assert sizes[-1] == max(sizes)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_halves_the_batch_and_goes_on(
    backbone: Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))
    expected = collected(backbone, source, OBJECTS)
    batches, remember = [], backbone.remember

    def small(coarse, *args, **settings):  # type: ignore[no-untyped-def]
        if len(coarse) > 2:
            raise error
        batches.append(len(coarse))
        return remember(coarse, *args, **settings)

    monkeypatch.setattr(backbone, "remember", small)
    found = collected(backbone, source, OBJECTS)
    assert max(batches) == 2
    for key, (logits, _, _) in expected.items():
        assert (found[key][0] - logits).abs().max() <= TOLERANCE


def test_another_error_is_not_taken_for_a_lack_of_memory(
    backbone: Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))

    def broken(*args, **settings):  # type: ignore[no-untyped-def]
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(backbone, "remember", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        collected(backbone, source, OBJECTS)


def test_a_budget_splits_the_batches(
    backbone: Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))
    whole = [len(batch.objects) for batch in track_objects(backbone, source, OBJECTS)]
    monkeypatch.setattr(engine.budgets, "TRACKED_BYTES", 1)
    single = [len(batch.objects) for batch in track_objects(backbone, source, OBJECTS)]
    assert max(whole) > 1
    assert max(single) == 1
    assert sum(single) == sum(whole)


def test_some_frames_as_a_clip_of_their_own(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        features = backbone.encode(pixels)
    sparse = SparseFeatures(ClipFeatures(features), [0, 2, 5])
    found = collected(backbone, sparse, [{1: mask_at(2)}])
    expected = collected(backbone, ClipFeatures(features[[0, 2, 5]]), [{1: mask_at(2)}])
    assert set(found) == {(0, 0), (0, 1), (0, 2)}
    for key, (logits, _, _) in expected.items():
        assert torch.equal(found[key][0], logits)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "object 1 has no prompt"),
        ({6: box_at(0)}, "object 1 is prompted on frame 6, the video has 6"),
        ({-1: box_at(0)}, "object 1 is prompted on frame -1"),
        ({0: Prompts(boxes=torch.zeros(2, 4))}, "object 1 has prompts for 2 objects"),
    ],
)
def test_prompts_that_fit_no_frame_or_object(
    backbone: Backbone, pixels: Tensor, prompts: ObjectPrompts, message: str
) -> None:
    with torch.no_grad():
        source = ClipFeatures(backbone.encode(pixels))
    with pytest.raises(ValueError, match=message):
        list(track_objects(backbone, source, [{0: box_at(0)}, prompts]))


def test_prompts_come_to_the_device_of_the_backbone() -> None:
    """A GPU in effect: tensors of the device meta do not mix with those on the CPU either."""
    backbone = random_backbone().to("meta")
    pixels = torch.zeros(6, 3, SIZE, SIZE, device="meta")
    source = ClipFeatures(backbone.encode(pixels))
    with pytest.raises(RuntimeError, match=r"meta"):
        backbone.prompt_tokens(box_at(2))
    found = collected(backbone, source, OBJECTS)
    assert {logits.device.type for logits, _, _ in found.values()} == {"meta"}
    drawn = segment_prompts(backbone, source.of([0]), [box_at(0), points_at(0, 1), mask_at(0)])
    assert {batch.decoded.iou.device.type for batch in drawn} == {"meta"}
