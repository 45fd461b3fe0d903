"""The model's output for clips, and the results of tracks put together to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stages.core.model.backbones.backbone import NO_OBJECT
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path.segmenter import Results
from stages.core.model.dual_path.tracks import Track


@dataclass(frozen=True)
class ClipOutput:
    """Output of the model for T frames and each of E sentences.

    Attributes:
        mask_logits: (E, T, s, s) raw logits of the chosen candidate, not gated (where several
            moments of a sentence were run apart: the highest of their gated logits).
        candidates: (E, T, M, s, s).
        iou: (E, T, M) predicted IoU of the candidates, 0..1.
        object_score_logits: (E, T) "the target is visible".
        relevance_logits: (E, T) "the frame lies in the moment".
        heatmap_logits: (E, T, h, h) "the target is here".
        guided: (E, T) bool, frames that took the language-guided path.
    """

    mask_logits: Tensor
    candidates: Tensor
    iou: Tensor
    object_score_logits: Tensor
    relevance_logits: Tensor
    heatmap_logits: Tensor
    guided: Tensor

    @staticmethod
    def of(decoded: Decoded, relevance: Tensor, heatmap: Tensor, guided: Tensor) -> ClipOutput:
        """Put E * T rows of the decoder and the adapter's output together."""
        shape = tuple(guided.shape)
        return ClipOutput(
            mask_logits=decoded.mask_logits.unflatten(0, shape),
            candidates=decoded.candidates.unflatten(0, shape),
            iou=decoded.iou.unflatten(0, shape),
            object_score_logits=decoded.object_score.view(shape),
            relevance_logits=relevance,
            heatmap_logits=heatmap,
            guided=guided,
        )

    def masks(self, *, gate: bool = True) -> Tensor:
        """(E, T, s, s) bool; with the gate, empty where the object score says "not visible"."""
        masks = self.mask_logits > 0
        if not gate:
            return masks
        return masks & (self.object_score_logits > 0)[:, :, None, None]


def merge_tracks(
    results: Results, tracks: Sequence[Track], shape: tuple[int, int], *, gate: bool
) -> Decoded:
    """Results of all tracks as E * T rows; the tracks of one sentence are united.

    Args:
        results: every (track, frame) once, in any order.
        tracks: in the order of their sentences.
        shape: (E, T).
        gate: blank frames that a track's own object score calls absent, before the union.
    """
    length = shape[1]
    number = {track: row for row, track in enumerate(tracks)}
    rows: list[int] = []
    parts: list[Decoded] = []
    for items, decoded in results:
        rows += [number[item.track] * length + item.position for item in items]
        parts.append(decoded)
    order = torch.empty(len(rows), dtype=torch.long)
    order[torch.tensor(rows)] = torch.arange(len(rows))
    ordered = _ordered(parts, order)
    if len(tracks) == shape[0]:
        return ordered
    return _union(ordered, [track.expression for track in tracks], shape, gate=gate)


def _ordered(parts: Sequence[Decoded], order: Tensor) -> Decoded:
    """The rows of all parts in another order; pointers are not kept."""
    index = order.to(parts[0].iou.device)
    return replace(
        parts[0],
        candidates=torch.cat([part.candidates for part in parts])[index],
        iou=torch.cat([part.iou for part in parts])[index],
        tokens=torch.cat([part.tokens for part in parts])[index],
        object_score=torch.cat([part.object_score for part in parts])[index],
        pointer=None,
    )


def _union(
    decoded: Decoded, owners: Sequence[int], shape: tuple[int, int], *, gate: bool
) -> Decoded:
    """Unite the tracks of each sentence: rows (tracks * T) become rows (E * T), one candidate.

    Args:
        owners: the sentence of each track.
    """
    expressions, length = shape
    logits = decoded.mask_logits.unflatten(0, (-1, length))  # (tracks, T, s, s)
    score = decoded.object_score.view(-1, length)  # (tracks, T)
    best = decoded.iou.amax(dim=1).view(-1, length)
    owner = torch.tensor(owners, device=score.device)
    if gate:
        several = (owner.bincount(minlength=expressions)[owner] > 1).view(-1, 1, 1, 1)
        absent = (score <= 0)[:, :, None, None]
        logits = torch.where(several & absent, NO_OBJECT, logits)
    pick = [owner == row for row in range(expressions)]
    masks = torch.cat([logits[own].amax(dim=0) for own in pick])  # (E * T, s, s)
    return Decoded(
        candidates=masks.unsqueeze(1),
        iou=torch.cat([best[own].amax(dim=0) for own in pick]).unsqueeze(1),
        tokens=decoded.tokens[: expressions * length, :1],
        object_score=torch.cat([score[own].amax(dim=0) for own in pick]),
    )
