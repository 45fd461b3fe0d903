"""The evidence of the track head: what the adapter sees inside a track, frame by frame.

The adapter's tokens are conditioned on the sentence already. Pooled features of the frozen encoder
in every frame would say more about the video, and a head that reads them memorises the training
videos (docs/model.md); averaged over time they say what a track looks like, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.adapter.adapter import Adapter, EncodedText
from stages.core.model.track_head.geometry import measure_tracks, track_geometry

CUES = 6
"""Scalars per sentence, track and frame."""
_LOGIT_SCALE = 4.0
_FILLED = 1.5
"""A place of the coarse grid counts as inside a track from two thirds of its area on."""


@dataclass(frozen=True)
class TrackEvidence:
    """The input of the head for E sentences and N tracks in T frames.

    Attributes:
        tokens: (E, N, T, d) the adapter's tokens, averaged inside each track.
        cues: (E, N, T, 6) the heat map inside the track and compared with the other tracks, its
            highest value, and the relevance of the frame.
        geometry: (N, T, G) see ``geometry.track_geometry``.
        looks: (N, A) see ``look.track_looks``.
        visible: bool (N, T).
        text: (E, 2 d) context and motion of the sentences.
        sentences: (E, D) the sentences as the text encoder gave them.
    """

    tokens: Tensor
    cues: Tensor
    geometry: Tensor
    looks: Tensor
    visible: Tensor
    text: Tensor
    sentences: Tensor

    def rows(self, rows: slice) -> TrackEvidence:
        """The same of some of the sentences."""
        return replace(
            self,
            tokens=self.tokens[rows],
            cues=self.cues[rows],
            text=self.text[rows],
            sentences=self.sentences[rows],
        )

    def to(self, device: torch.device) -> TrackEvidence:
        """The same on a device."""
        parts = {field.name: getattr(self, field.name).to(device) for field in fields(self)}
        return TrackEvidence(**parts)


MasksOf = Callable[[Sequence[int]], Tensor]
"""Masks of N tracks in n frames, (N, n, m, m) of any type from 0 to 1."""


def gather_evidence(
    adapter: Adapter,
    blocks: Iterable[Tensor],
    relevance: Tensor,
    text: EncodedText,
    masks_of: MasksOf,
    looks: Tensor,
) -> TrackEvidence:
    """Gather the evidence of a video.

    Args:
        adapter: whose heat map is read.
        blocks: the adapter's tokens (E, n, d, h, h) of n consecutive frames at a time.
        relevance: (E, T) logits.
        text: of the E sentences.
        masks_of: at least one track.
        looks: (N, A) of the tracks.
    """
    parts: list[tuple[Tensor, ...]] = []
    measures, first = [], 0
    for tokens in blocks:
        last = first + tokens.shape[1]
        masks = masks_of(range(first, last)).to(tokens.device, tokens.dtype)
        parts.append(_inside(adapter, tokens, masks))
        measures.append(measure_tracks(masks))
        first = last
    pooled, inside, mass, highest = (torch.cat(part, dim=2) for part in zip(*parts, strict=True))
    measured = torch.cat(measures, dim=1)
    shown = measured[None, ..., 0]
    cues = [
        inside / _LOGIT_SCALE,
        mass,
        highest / _LOGIT_SCALE,
        relevance[:, None].expand_as(inside) / _LOGIT_SCALE,
        ahead_of_others(inside * shown) / _LOGIT_SCALE,
        ahead_of_others(mass * shown),
    ]
    return TrackEvidence(
        tokens=pooled,
        cues=torch.stack(cues, dim=3),
        geometry=track_geometry(measured),
        looks=looks,
        visible=measured[..., 0] > 0,
        text=torch.cat([text.context, text.motion], dim=1),
        sentences=text.sentence,
    )


def _inside(
    adapter: Adapter, tokens: Tensor, masks: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Averages inside tracks, for n frames.

    Args:
        tokens: (E, n, d, h, h).
        masks: float (N, n, m, m).

    Returns:
        tokens (E, N, n, d); logit and mass of the heat map, and its highest logit (E, N, n).
    """
    cover = F.adaptive_avg_pool2d(masks, tokens.shape[-1]).flatten(2)  # (N, n, hh)
    weight = cover / cover.sum(dim=2, keepdim=True).clamp(min=1e-3)
    places = tokens.flatten(3)  # (E, n, d, hh)
    heat = adapter.heatmap(places.transpose(2, 3)).squeeze(3)  # (E, n, hh)
    inside = torch.einsum("ktp,etp->ekt", weight, heat)
    share = heat.softmax(dim=2)
    mass = torch.einsum("ktp,etp->ekt", (cover * _FILLED).clamp(max=1), share)
    highest = heat.amax(dim=2)[:, None].expand_as(inside)
    return torch.einsum("ktp,etdp->ektd", weight, places), inside, mass, highest


def ahead_of_others(values: Tensor) -> Tensor:
    """(E, N, ...) values minus the highest of the other N - 1 tracks; 0 for a single one."""
    if values.shape[1] == 1:
        return torch.zeros_like(values)
    return values - highest_of_others(values)


def highest_of_others(values: Tensor) -> Tensor:
    """(E, N, ...) for each track the highest value of the others, N > 1."""
    top = values.topk(2, dim=1)
    first, second = top.values.unbind(dim=1)
    index = torch.arange(values.shape[1], device=values.device)
    is_first = index.view(1, -1, *[1] * (values.ndim - 2)) == top.indices[:, :1]
    return torch.where(is_first, second.unsqueeze(1), first.unsqueeze(1))
