"""Many objects through one video, as one batch over shared features, in bounded memory.

Every frame is encoded once per direction, or once if the source keeps its features, whatever the
number of objects. Each direction has memory banks of its own, which hold nothing but the prompted
frames at its start: an object that the forward direction lost to a look-alike does not pull the
backward direction with it (transformers' session shares one bank). So they do not depend on each
other, and a frame of each is one batch.

Track three objects from a box, a point and a mask::

    from stages.core.model.backbones.records import Prompts
    from stages.core.model.tracking.objects import track_objects
    from stages.core.model.tracking.sources import ClipFeatures

    source = ClipFeatures(backbone.encode(pixels))  # or a VideoFeatures
    box = Prompts(boxes=torch.tensor([[20.0, 8.0, 60.0, 50.0]]))  # pixels of the S x S image
    point = Prompts(points=torch.tensor([[[33.0, 70.0]]]), labels=torch.tensor([[1]]))
    objects = [{12: box}, {0: point}, {3: Prompts(mask=first), 40: Prompts(mask=later)}]
    for found in track_objects(backbone, source, objects):
        for number, logits in zip(found.objects, found.gated_logits):
            ...  # mask logits (s, s) of object `number` on frame `found.frame`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import MemoryBank
from stages.core.model.backbones.records import Prompts
from stages.core.model.tracking.engine import Engine, ObjectTrack, TrackedObjects
from stages.core.model.tracking.prompts import ObjectPrompts, check_prompts
from stages.core.model.tracking.sources import ClipFeatures, FeatureSource

Direction = Literal["both", "forward", "backward"]


def track_objects(
    backbone: Backbone,
    source: FeatureSource,
    objects: Sequence[ObjectPrompts],
    *,
    direction: Direction = "both",
    memory_dtype: torch.dtype | None = None,
) -> Iterator[TrackedObjects]:
    """Track objects through a video from prompts on some of its frames.

    All prompts of an object are read before it is tracked, as by SAM 2's session. Frames between
    two prompted ones are tracked forward (by "backward" alone, backward).

    Args:
        backbone: in eval mode; nothing here has gradients.
        source: features of the T frames.
        objects: for each one, frame -> prompts (boxes, points or a mask), on any device.
        direction: "both" covers all frames, "forward" those from an object's first prompted frame
            on, "backward" those up to its last one.
        memory_dtype: type that memories are kept in; SAM 2's session uses bfloat16.

    Yields:
        Each frame of each object once; the objects of a frame in one or more batches. Frames come
        in order of time, in turn with those of the other direction in reverse.

    Raises:
        ValueError: an object without prompts, or with a prompt beyond the video.
    """
    check_prompts(objects, len(source))
    reverse = direction == "backward"
    tracks = [
        ObjectTrack(
            number,
            _on_device(prompts, backbone),
            MemoryBank(memory_dtype),
            max(prompts) if reverse else min(prompts),
            reverse=reverse,
        )
        for number, prompts in enumerate(objects)
    ]
    engine = Engine(backbone, source)
    engine.read_prompts(tracks)
    if direction == "both":
        tracks += [track.before() for track in tracks]
    yield from engine.sweep(tracks)


def segment_prompts(
    backbone: Backbone, features: FrameFeatures, prompts: Sequence[Prompts]
) -> Iterator[TrackedObjects]:
    """Segment objects on one frame from their prompts alone; nothing is remembered.

    Args:
        backbone: in eval mode; nothing here has gradients.
        features: of the frame.
        prompts: of one object each.

    Yields:
        Each object once, those of equal kinds of prompts together.
    """
    objects = [{0: given} for given in prompts]
    check_prompts(objects, 1)
    tracks = [
        ObjectTrack(number, _on_device(own, backbone), MemoryBank(), 0)
        for number, own in enumerate(objects)
    ]
    yield from Engine(backbone, ClipFeatures(features)).prompt(0, features, tracks, write=False)


def _on_device(prompts: ObjectPrompts, backbone: Backbone) -> dict[int, Prompts]:
    """Prompts of an object on the backbone's device, in order of time."""
    device = next(backbone.parameters()).device
    return {frame: prompts[frame].to(device) for frame in sorted(prompts)}
