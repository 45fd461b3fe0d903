"""Objects that the masks of sentences show: the connected parts of guided masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from skimage.measure import label

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.records import Prompts
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.tracking.objects import segment_prompts
from stages.core.model.tracking.overlaps import pairwise_iou, small_masks
from stages.core.model.tracking.search import Proposal
from stages.core.model.tracking.sources import FeatureSource

SAME_OBJECT = 0.7
"""IoU from which two parts of one frame, of different sentences, are one object."""
FEWEST_PIXELS = 4
"""Of a mask of the decoder; smaller parts are noise."""
SMALLEST_PART = 0.1
"""Of the largest part of the same mask; smaller ones are noise."""


def own_proposals(
    backbone: Backbone, source: FeatureSource, sentences: Sequence[SentenceMasks], frames: int
) -> list[Proposal]:
    """The objects that the masks of all sentences of a video show on some guided frames.

    The backbone draws each part of a mask from a box around it, and says how sure it is.

    Args:
        backbone: tracks the objects later; in eval mode.
        source: features of the T frames.
        sentences: of the video.
        frames: searched per sentence: the best ones of as many equal parts of its guided frames.

    Returns:
        By frame; equal objects of several sentences are one, whose ``rows`` are these sentences.
    """
    by_frame: dict[int, list[Proposal]] = {}
    for row, sentence in enumerate(sentences):
        for frame in best_frames(sentence, frames):
            parts = _parts(sentence, row, frame, backbone.image_size)
            by_frame.setdefault(frame, []).extend(parts)
    found = []
    for frame in sorted(by_frame):
        if by_frame[frame]:
            _draw(backbone, source.of([frame]), by_frame[frame])
            found += _distinct(by_frame[frame])
    return found


def best_frames(sentence: SentenceMasks, most: int) -> list[int]:
    """Guided frames with the highest object score, one of each of equal parts, ascending."""
    guided = np.flatnonzero(sentence.guided)
    if not len(guided):
        return []
    parts = np.array_split(guided, min(most, len(guided)))
    return [int(part[np.argmax(sentence.scores[part])]) for part in parts]


def _parts(sentence: SentenceMasks, row: int, frame: int, image_size: int) -> Iterator[Proposal]:
    """The connected parts of a sentence's mask, as box prompts."""
    logits = sentence.maps.logits([frame])[0]  # (s, s)
    numbers = label(logits.numpy() > 0, connectivity=2)
    sizes = np.bincount(numbers.ravel())[1:]
    if not len(sizes):
        return
    visible = float(torch.sigmoid(torch.tensor(sentence.scores[frame])))
    scale = image_size / len(logits)
    for number in np.flatnonzero(sizes >= max(FEWEST_PIXELS, SMALLEST_PART * sizes.max())) + 1:
        part = torch.from_numpy(numbers == number)
        ys, xs = torch.nonzero(part, as_tuple=True)
        corners = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        box = torch.tensor([[float(corner) * scale for corner in corners]])
        weight = float(logits[part].sigmoid().mean()) * visible
        yield Proposal(frame, Prompts(boxes=box), part, weight, [row], weight)


def _draw(backbone: Backbone, features: FrameFeatures, proposals: Sequence[Proposal]) -> None:
    """Replace the masks of one frame's proposals by what the backbone draws from their boxes."""
    prompts = [proposal.prompt for proposal in proposals]
    for drawn in segment_prompts(backbone, features, prompts):
        sure = drawn.decoded.iou.amax(dim=1) * drawn.decoded.object_score.sigmoid()
        small = small_masks(drawn.gated_logits).cpu()
        for row, number in enumerate(drawn.objects):
            proposals[number].mask = small[row]
            proposals[number].weight *= float(sure[row])


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals of one frame, equal ones as one, the surest first."""
    shown = [proposal for proposal in proposals if proposal.mask.any()]
    order = sorted(shown, key=lambda proposal: -proposal.weight)
    kept: list[Proposal] = []
    for proposal in order:
        masks = torch.stack([other.mask for other in kept]) if kept else proposal.mask[:0]
        iou = pairwise_iou(proposal.mask[None], masks)[0] if kept else np.zeros(0)
        if len(iou) and iou.max() >= SAME_OBJECT:
            kept[int(iou.argmax())].rows.extend(proposal.rows)
        else:
            kept.append(proposal)
    return kept
