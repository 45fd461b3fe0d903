"""Masks at a low resolution, which is enough to tell objects apart, and their overlaps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MATCH_SIDE = 128
"""Masks are compared at most at this side: 2 KB each, packed."""
COMPARED_FRAMES = 64
"""Frames, spread evenly over the video, on which whole tracks are compared: memory stays the same
however long the video is."""


def compared_frames(total: int) -> list[int]:
    """The frames of a video of T frames on which tracks are compared, ascending."""
    places = np.linspace(0, total - 1, min(total, COMPARED_FRAMES))
    return [int(frame) for frame in np.unique(places.round())]


def small_masks(logits: Tensor) -> Tensor:
    """(B, s, s) mask logits to bool (B, m, m) with m at most ``MATCH_SIDE``."""
    if logits.shape[-1] > MATCH_SIDE:
        size = (MATCH_SIDE, MATCH_SIDE)
        logits = F.interpolate(logits.float().unsqueeze(1), size=size, mode="area")[:, 0]
    return logits > 0


def pairwise_iou(masks: Tensor, others: Tensor) -> np.ndarray:
    """float32 (A, B) IoU of bool masks (A, ...) and (B, ...); 0 where both are empty."""
    one, other = masks.flatten(1).float(), others.flatten(1).float()
    with torch.autocast(one.device.type, enabled=False):
        both = one @ other.T  # exact in float32: the counts are far below 2 ** 24
    either = one.sum(dim=1)[:, None] + other.sum(dim=1)[None] - both
    return (both / either.clamp(min=1)).cpu().numpy()


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
