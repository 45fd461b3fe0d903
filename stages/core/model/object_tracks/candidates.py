"""Objects that the masks of sentences show: the connected parts of guided masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from skimage.measure import label

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.prompted import PromptedTracker
from stages.core.model.backbones.records import Prompts
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.tracking.overlaps import pairwise_iou, small_masks
from stages.core.model.tracking.prompts import join_prompts
from stages.core.model.tracking.search import Proposal
from stages.core.model.tracking.sources import FeatureSource

SAME_OBJECT = 0.7
"""IoU from which two parts of one frame, of different sentences, are one object."""
FEWEST_PIXELS = 4
"""Of a mask of the decoder; smaller parts are noise."""
NEARLY_EQUAL = 1.0
"""Difference of two object scores, which are logits."""
DRAWN_TOGETHER = 16
"""Parts that the backbone draws as one batch."""
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
    guided = np.sum([sentence.guided for sentence in sentences], axis=0)
    parts = [
        part
        for row, sentence in enumerate(sentences)
        for frame in best_frames(sentence, frames, guided)
        for part in _parts(sentence, row, frame, backbone.image_size)
    ]
    for start in range(0, len(parts), DRAWN_TOGETHER):
        _draw(backbone, source, parts[start : start + DRAWN_TOGETHER])
    parts.sort(key=lambda part: part.frame)
    return [
        found
        for _, own in groupby(parts, key=lambda part: part.frame)
        for found in _distinct(list(own))
    ]


def best_frames(sentence: SentenceMasks, most: int, guided: np.ndarray) -> list[int]:
    """Guided frames with a high object score, one of each of equal parts, ascending.

    Of nearly equal ones, that of the most sentences is taken: the more objects a frame shows, the
    more of them are tracked as one batch.

    Args:
        sentence: with T frames.
        most: number of parts.
        guided: (T,) number of sentences that guide each frame.
    """
    frames = np.flatnonzero(sentence.guided)
    chosen = []
    for part in np.array_split(frames, min(most, len(frames))) if len(frames) else []:
        scores = sentence.scores[part]
        near = part[scores >= scores.max() - NEARLY_EQUAL]
        chosen.append(int(near[np.argmax(guided[near])]))
    return chosen


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


def _draw(backbone: Backbone, source: FeatureSource, proposals: Sequence[Proposal]) -> None:
    """Replace the masks of proposals by what the backbone draws from their boxes."""
    features = source.of([proposal.frame for proposal in proposals])
    prompts = join_prompts([proposal.prompt for proposal in proposals])
    tracker = PromptedTracker(backbone, len(source))
    drawn = tracker.step(0, features, prompts.to(features.coarse.device), write=False)
    sure = drawn.decoded.iou.amax(dim=1) * drawn.decoded.object_score.sigmoid()
    small = small_masks(drawn.gated_logits).cpu()
    for proposal, mask, weight in zip(proposals, small, sure.tolist(), strict=True):
        proposal.mask = mask
        proposal.weight *= weight


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
