"""Propagating the objects of a video through all of its frames, and merging equal tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stages.core.media.rle import encode
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.masks import enlarge_masks
from stages.core.model.tracking.engine import TrackedObjects
from stages.core.model.tracking.objects import track_objects
from stages.core.model.tracking.prompts import ObjectPrompts
from stages.core.model.tracking.sources import FeatureSource
from stages.zero_shot.track.overlaps import pairwise_iou, small_masks

COMPARED_FRAMES = 64
"""Frames, spread evenly over the video, on which whole tracks are compared: memory stays the same
however long the video is."""


@dataclass
class MaskTrack:
    """The masks of one object.

    Attributes:
        counts: compressed COCO RLE by frame, where the mask is not empty.
        areas: pixels by frame, the same frames.
        sure: sum over these frames of the predicted IoU times the probability of being visible.
    """

    counts: dict[int, bytes] = field(default_factory=dict)
    areas: dict[int, int] = field(default_factory=dict)
    sure: float = 0.0

    @property
    def quality(self) -> float:
        """Mean over the visible frames of predicted IoU times probability of being visible."""
        return self.sure / len(self.counts) if self.counts else 0.0


@dataclass(frozen=True)
class Propagated:
    """The tracks of N objects.

    Attributes:
        tracks: (N,).
        small: bool (N, n, m, m) masks on the compared frames.
    """

    tracks: list[MaskTrack]
    small: Tensor


def propagate(
    backbone: Backbone,
    source: FeatureSource,
    prompts: Sequence[ObjectPrompts],
    size: tuple[int, int],
    advance: Callable[[int], None],
) -> Propagated:
    """Propagate objects through all frames, both ways.

    Args:
        backbone: in eval mode.
        source: features of the T frames.
        prompts: of each object.
        size: (H, W) of the video.
        advance: called with the number of objects that are finished on a frame.
    """
    total = len(source)
    compared = np.unique(np.linspace(0, total - 1, min(total, COMPARED_FRAMES)).round().astype(int))
    place_of = {int(frame): place for place, frame in enumerate(compared)}
    tracks = [MaskTrack() for _ in prompts]
    small: Tensor | None = None
    for tracked in track_objects(backbone, source, prompts):
        if tracked.frame in place_of:
            masks = small_masks(tracked.gated_logits)
            if small is None:
                small = masks.new_zeros(len(prompts), len(compared), *masks.shape[1:])
            small[list(tracked.objects), place_of[tracked.frame]] = masks
        _take(tracked, tracks, size)
        advance(len(tracked.objects))
    return Propagated(tracks, torch.zeros(0, 0, 1, 1) if small is None else small)


def _take(tracked: TrackedObjects, tracks: Sequence[MaskTrack], size: tuple[int, int]) -> None:
    """Add the masks of one frame to their tracks, at the video's size."""
    height, width = size
    decoded = tracked.decoded
    sure = (decoded.iou.amax(dim=1) * decoded.object_score.sigmoid()).float().cpu().tolist()
    logits = tracked.gated_logits
    step = max(1, budgets.RESIZED_BYTES // (height * width * budgets.FLOAT_BYTES))
    for start in range(0, len(logits), step):
        masks = enlarge_masks(logits[start : start + step], height, width)
        for row, mask in enumerate(masks.cpu().numpy(), start):
            area = int(mask.sum())
            if area:
                track = tracks[tracked.objects[row]]
                track.counts[tracked.frame] = encode(mask)["counts"]
                track.areas[tracked.frame] = area
                track.sure += sure[row]


def merged_groups(small: Tensor, order: Iterable[int], merge: float) -> list[list[int]]:
    """Groups of tracks that are one object, each led by the first one in `order`.

    Args:
        small: bool (N, n, m, m) masks on the compared frames.
        order: numbers of the tracks, the best first.
        merge: IoU over all compared frames from which a track is one with the leader of a group.
    """
    iou = pairwise_iou(small, small) if len(small) else np.zeros((0, 0))
    groups: list[list[int]] = []
    for number in order:
        same = next((group for group in groups if iou[group[0], number] >= merge), None)
        if same is None:
            groups.append([number])
        else:
            same.append(number)
    return groups
