"""The distinct objects that candidates of all sentences name on each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stages.core.media.rle import Rle, decode
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.records import Prompts
from stages.core.model.masks import resize_masks
from stages.core.model.tracking.objects import segment_prompts
from stages.core.model.tracking.overlaps import pairwise_iou, small_masks
from stages.core.model.tracking.search import Proposal
from stages.core.model.tracking.sources import FeatureSource

SAME_BOX = 0.9
"""IoU of two boxes that would prompt the same mask: of one object for two sentences, say."""


@dataclass(frozen=True)
class Candidate:
    """One row of the candidates table.

    Attributes:
        row: its number in the table.
        frame: position in the video.
        box: x0, y0, x1, y1 in pixels of the video.
        score: of the detector.
        mask: the detector's mask at the video's size, if there is one.
    """

    row: int
    frame: int
    box: tuple[float, float, float, float]
    score: float
    mask: Rle | None = None


@dataclass
class Proposals:
    """The objects found on some frames.

    Attributes:
        items: by frame, then by falling weight.
        without_mask: number of candidates from which the backbone draws nothing.
    """

    items: list[Proposal] = field(default_factory=list)
    without_mask: int = 0


def find_proposals(
    backbone: Backbone,
    source: FeatureSource,
    candidates: Sequence[Sequence[Candidate]],
    size: tuple[int, int],
    same_object: float,
    advance: Callable[[int], None] = lambda objects: None,
) -> Proposals:
    """Turn the boxes of each frame into masks, and equal ones into one object.

    Args:
        backbone: in eval mode.
        source: features of the searched frames.
        candidates: of each searched frame.
        size: (H, W) of the video.
        same_object: IoU from which two masks of a frame are one object.
        advance: called with 0 after each frame: its objects are drawn, not tracked.
    """
    found = Proposals()
    for place, own in enumerate(candidates):
        groups = _equal_boxes(own)
        prompts = [_prompt(group[0], size, backbone.image_size) for group in groups]
        masks, weights = _draw(backbone, source, place, prompts)
        order = sorted(range(len(groups)), key=lambda n: -weights[n])
        iou = pairwise_iou(masks, masks)
        kept: dict[int, Proposal] = {}
        for number in order:
            group = groups[number]
            rows = [candidate.row for candidate in group]
            if not masks[number].any():
                found.without_mask += len(rows)
                continue
            same = next((other for other in kept if iou[number, other] >= same_object), None)
            if same is not None:
                kept[same].rows += rows
                kept[same].score = max(kept[same].score, group[0].score)
                continue
            kept[number] = Proposal(
                group[0].frame,
                prompts[number],
                masks[number],
                weights[number],
                rows,
                group[0].score,
            )
        found.items += kept.values()
        advance(0)
    return found


def _equal_boxes(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates with nearly the same box together, each group best first; masks stay apart."""
    best_first = sorted(candidates, key=lambda candidate: (-candidate.score, candidate.row))
    groups: list[list[Candidate]] = []
    corners = np.zeros((0, 4))
    for candidate in best_first:
        box = np.array(candidate.box)
        overlap = _box_iou(box, corners)
        near = int(overlap.argmax()) if len(overlap) else -1
        if near >= 0 and overlap[near] >= SAME_BOX and _same_kind(groups[near][0], candidate):
            groups[near].append(candidate)
        else:
            groups.append([candidate])
            corners = np.concatenate([corners, box[None]])
    return groups


def _same_kind(one: Candidate, other: Candidate) -> bool:
    """Both are boxes, or have the same mask."""
    if one.mask is None or other.mask is None:
        return one.mask is other.mask
    return one.mask["counts"] == other.mask["counts"]


def _box_iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) IoU of a box (4,) with others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return both / ((box[2:] - box[:2]).prod() + areas - both)


def _prompt(candidate: Candidate, size: tuple[int, int], side: int) -> Prompts:
    """A candidate as a prompt in the S x S image: its mask if it has one, else its box."""
    height, width = size
    if candidate.mask is None:
        scale = torch.tensor([side / width, side / height] * 2)
        return Prompts(boxes=torch.tensor([candidate.box]) * scale)
    mask = torch.from_numpy(decode(candidate.mask, where=f"candidate {candidate.row}"))
    share = resize_masks(mask[None, None], side)[0]  # (1, S, S)
    return Prompts(mask=(share >= 0.5).float())


def _draw(
    backbone: Backbone, source: FeatureSource, place: int, prompts: Sequence[Prompts]
) -> tuple[Tensor, list[float]]:
    """Masks bool (n, m, m) and weights of the prompts on one frame."""
    if not prompts:
        return torch.zeros(0, 1, 1, dtype=torch.bool), []
    masks: list[Tensor] = [torch.empty(0)] * len(prompts)
    weights = [0.0] * len(prompts)
    for drawn in segment_prompts(backbone, source.of([place]), prompts):
        sure = drawn.decoded.iou.amax(dim=1) * drawn.decoded.object_score.sigmoid()
        small = small_masks(drawn.gated_logits)
        for row, number in enumerate(drawn.objects):
            masks[number] = small[row]
            weights[number] = float(sure[row])
    return torch.stack(masks), weights
