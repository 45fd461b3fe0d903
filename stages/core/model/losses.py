"""Losses of a clip, on the decoder's raw masks: SAM 2's gated ones have no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.clip_output import ClipOutput
from stages.core.model.config import LossConfig
from stages.core.model.masks import mask_iou, resize_masks

DICE_SMOOTHING = 1.0
HALF = 0.5
"""Fraction of a pixel that a mask must cover to count."""


def clip_losses(
    out: ClipOutput,
    targets: Tensor,
    relevant: Tensor | None,
    config: LossConfig,
    *,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Named terms, unweighted, and their weighted sum.

    Of several mask candidates only the best one is trained, as in SAM 2; the predicted IoU and the
    object score are trained everywhere. An empty target is a sample like any other.

    Args:
        out: of E sentences and T frames.
        targets: bool or float (E, T, H', W') of any size, or (E, T, s, s) already resized.
        relevant: (E, T) bool for the relevance head; None leaves the term out.
        config: weights.
        weight: (E, T), see :func:`relevance_loss`.

    Returns:
        Scalars "mask", "dice", "iou", "object", "heatmap", "relevance" (unless left out), "total".
    """
    e, t = out.object_score_logits.shape
    if targets.ndim != 4 or tuple(targets.shape[:2]) != (e, t):
        raise ValueError(f"targets have shape {tuple(targets.shape)}, expected ({e}, {t}, H, W)")
    candidates = _at_side(out.candidates, config.loss_side)  # (E, T, M, s, s)
    target = resize_masks(targets, candidates.shape[-1])  # (E, T, s, s)
    visible = targets.flatten(2).any(dim=2).to(out.iou.dtype)  # (E, T)
    terms = _mask_terms(candidates, target, visible, config) | {
        "iou": F.mse_loss(out.iou, _candidate_iou(candidates, target)),
        "object": F.binary_cross_entropy_with_logits(out.object_score_logits, visible),
        "heatmap": heatmap_loss(out.heatmap_logits, targets, out.guided),
    }
    if relevant is not None:
        terms["relevance"] = relevance_loss(out.relevance_logits, relevant, weight)
    # A weight of 0 still multiplies the term: its parameters then get a zero gradient, not none.
    weights = config.weights()
    total = torch.stack([term * weights[name] for name, term in terms.items()]).sum()
    return terms | {"total": total}


def _candidate_iou(candidates: Tensor, target: Tensor) -> Tensor:
    """(E, T, M) IoU of thresholded candidates (E, T, M, s, s) with targets (E, T, s, s)."""
    return mask_iou(candidates.detach() > 0, (target > HALF).unsqueeze(2))


def _at_side(candidates: Tensor, side: int) -> Tensor:
    """Candidates (E, T, M, s, s) enlarged to a side as masks are for the video; 0 leaves them."""
    if side in (0, candidates.shape[-1]):
        return candidates
    large = F.interpolate(
        candidates.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=False
    )
    return large.unflatten(0, candidates.shape[:2])


def _mask_terms(
    candidates: Tensor, target: Tensor, visible: Tensor, config: LossConfig
) -> dict[str, Tensor]:
    """Mask and dice losses of the best candidate of each frame.

    Per frame, the dice loss of an empty target stays near 1 until the mask is almost perfectly
    empty, so that empty frames would outweigh the others. SAM 2 leaves them to the object score.

    Args:
        candidates: (E, T, M, s, s) logits.
        target: (E, T, s, s).
        visible: (E, T) 1 where the target is visible.
        config: weights, and which frames count.
    """
    pixel, overlap, size = _candidate_sums(candidates, target, config)  # (E, T, M) each
    dice = _dice(overlap, size)
    best = (pixel * config.mask_weight + dice * config.dice_weight).detach().argmin(dim=2)
    best = best.unsqueeze(2)  # (E, T, 1)
    pixel, dice = pixel.gather(2, best).squeeze(2), dice.gather(2, best).squeeze(2)  # (E, T)
    if config.mask_terms == "frame":
        return {"mask": pixel.mean(), "dice": dice.mean()}
    # Frames that do not count stay in the denominator: processes may meet unequally many.
    if config.mask_terms == "visible":
        return {"mask": (pixel * visible).mean(), "dice": (dice * visible).mean()}
    overlap, size = (sums.gather(2, best).sum(dim=(1, 2)) for sums in (overlap, size))  # (E,)
    shown = visible.amax(dim=1)  # in a clip without target, the mask loss alone decides
    return {"mask": pixel.mean(), "dice": (_dice(overlap, size) * shown).mean()}


def _candidate_sums(
    candidates: Tensor, target: Tensor, config: LossConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Pixel loss, overlap with the target, and both sizes together; (E, T, M) each."""
    truth = target.unsqueeze(2).expand_as(candidates)
    pixel = F.binary_cross_entropy_with_logits(candidates, truth, reduction="none")
    chance = candidates.sigmoid()
    if config.mask_loss == "focal":
        right = chance * truth + (1 - chance) * (1 - truth)
        weight = config.focal_alpha * truth + (1 - config.focal_alpha) * (1 - truth)
        pixel = weight * (1 - right) ** config.focal_gamma * pixel
    overlap = (chance * truth).flatten(3).sum(dim=3)
    size = chance.flatten(3).sum(dim=3) + truth.flatten(3).sum(dim=3)
    return pixel.flatten(3).mean(dim=3), overlap, size


def _dice(overlap: Tensor, size: Tensor) -> Tensor:
    """Dice loss from overlaps and summed sizes of any shape."""
    return 1 - (2 * overlap + DICE_SMOOTHING) / (size + DICE_SMOOTHING)


def relevance_loss(logits: Tensor, relevant: Tensor, weight: Tensor | None) -> Tensor:
    """Cross-entropy of the relevance head, weighted by frame.

    The sum is divided by the number of all frames, so that one has the same effect whatever else
    is in its batch, and batches that are split over processes have that of one batch.

    Args:
        logits: (E, T).
        relevant: (E, T) bool.
        weight: (E, T) of the frames, 0 where a clip says nothing about relevance; None: 1.
    """
    loss = F.binary_cross_entropy_with_logits(logits, relevant.to(logits.dtype), reduction="none")
    if weight is not None:
        loss = loss * weight
    return loss.mean()


def heatmap_loss(heatmap: Tensor, targets: Tensor, guided: Tensor) -> Tensor:
    """Cross-entropy of the heat map on guided frames; 0 if there are none.

    Args:
        heatmap: (E, T, h, h) logits.
        targets: (E, T, H, W) of any size.
        guided: (E, T) bool.
    """
    truth = resize_masks(targets, heatmap.shape[-1])
    per_frame = F.binary_cross_entropy_with_logits(heatmap, truth, reduction="none")
    per_frame = per_frame.flatten(2).mean(dim=2)  # (E, T)
    weight = guided.to(per_frame.dtype)
    return (per_frame * weight).sum() / weight.sum().clamp(min=1)
