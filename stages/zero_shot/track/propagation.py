"""Propagating the objects of a video through all of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.core.media.rle import encode
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.masks import enlarge_masks
from stages.core.model.tracking.engine import TrackedObjects
from stages.core.model.tracking.objects import track_objects
from stages.core.model.tracking.overlaps import compared_frames, small_masks
from stages.core.model.tracking.prompts import ObjectPrompts
from stages.core.model.tracking.sources import FeatureSource


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
    compared = compared_frames(total)
    place_of = {frame: place for place, frame in enumerate(compared)}
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
    step = budgets.enlarged_masks(height, width, logits.device)
    for start in range(0, len(logits), step):
        masks = enlarge_masks(logits[start : start + step], height, width)
        for row, mask in enumerate(masks.cpu().numpy(), start):
            area = int(mask.sum())
            if area:
                track = tracks[tracked.objects[row]]
                track.counts[tracked.frame] = encode(mask)["counts"]
                track.areas[tracked.frame] = area
                track.sure += sure[row]
