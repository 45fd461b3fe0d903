"""Own tracks: the objects that the masks of a video's sentences show, tracked through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.batches import BatchSize
from stages.core.media.mask_bits import MaskBits, empty_bits
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.masks import packed_masks
from stages.core.model.object_tracks.candidates import own_proposals
from stages.core.model.object_tracks.maps import LogitMaps, quantise
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.tracking.objects import track_objects
from stages.core.model.tracking.overlaps import compared_frames, merged_groups
from stages.core.model.tracking.search import Proposal, sort_proposals
from stages.core.model.tracking.sources import FeatureSource

JOIN = 0.5
"""IoU with a track from which a part of a mask is the track's object, as in `tgl track`."""
MERGE = 0.7
"""IoU over the whole video from which two tracks are one, as in `tgl track`."""


@dataclass(frozen=True)
class TrackCounts:
    """Counts of one video.

    Attributes:
        started: objects that were tracked.
        merged: of these, those that turned out to be another one.
        left: parts of masks that no track explains, since too many were started.
        tracks: that are left.
    """

    started: int
    merged: int
    left: int
    tracks: int


@dataclass(frozen=True)
class MapTracks:
    """``ObjectTracks`` kept as mask logits.

    Attributes:
        names: of the tracks.
        maps: of each.
        size: (H, W) of the video.
        device: that enlarges them.
    """

    names: Sequence[str]
    maps: Sequence[LogitMaps]
    size: tuple[int, int]
    device: torch.device

    def small(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        return torch.stack([maps.small_logits(frames) > 0 for maps in self.maps])

    def cover(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        return torch.stack([maps.small_logits(frames).sigmoid() for maps in self.maps])

    def full(self, frame: int, numbers: Sequence[int]) -> MaskBits:
        """See ``ObjectTracks``."""
        height, width = self.size
        bits = np.repeat(empty_bits(height, width)[None], len(numbers), axis=0)
        shown = [place for place, n in enumerate(numbers) if frame in self.maps[n].visible]

        def enlarge(places: Sequence[int]) -> MaskBits:
            logits = torch.cat([self.maps[numbers[place]].logits([frame]) for place in places])
            found, _ = packed_masks(logits.to(self.device), height, width)
            return found.cpu().numpy()

        size = BatchSize(budgets.enlarged_masks(height, width, self.device))
        for places, found in size.run(shown, enlarge):
            bits[list(places)] = found
        return bits

    def visible(self, number: int) -> int:
        """See ``ObjectTracks``."""
        return len(self.maps[number].visible)


@dataclass(frozen=True)
class OwnTracker:
    """Finds and tracks the objects of a video.

    Attributes:
        backbone: in eval mode.
        frames: guided frames per sentence that are searched for objects.
        most: objects that are tracked.
    """

    backbone: Backbone
    frames: int
    most: int

    @torch.inference_mode()
    def find(
        self, source: FeatureSource, sentences: Sequence[SentenceMasks]
    ) -> tuple[list[LogitMaps], TrackCounts]:
        """Track the objects that the sentences' masks show, each once.

        Each round starts from the frame with the most objects that no track explains, and tracks
        them through the whole video in both directions.

        Args:
            source: features of the T frames.
            sentences: of the video.

        Returns:
            Mask logits of each track, the best confirmed first.
        """
        proposals = own_proposals(self.backbone, source, sentences, self.frames)
        frames = sorted({proposal.frame for proposal in proposals})
        found: dict[int, LogitMaps] = {}

        def track(seeds: Sequence[Proposal]) -> Tensor:
            own = self._track(source, seeds)
            found.update({id(seed): maps for seed, maps in zip(seeds, own, strict=True)})
            return torch.stack([maps.small_logits(frames) > 0 for maps in own])

        search = sort_proposals(frames, proposals, track, join=JOIN, max_seeds=self.most)
        maps = [found[id(item.seed)] for item in search.objects]
        groups = self._groups(maps, len(source))
        counts = TrackCounts(
            started=len(maps),
            merged=sum(len(group) - 1 for group in groups),
            left=len(search.left),
            tracks=len(groups),
        )
        return [maps[group[0]] for group in groups], counts

    def _track(self, source: FeatureSource, seeds: Sequence[Proposal]) -> list[LogitMaps]:
        """Mask logits of A seeds."""
        maps = [LogitMaps(self.backbone.mask_size) for _ in seeds]
        prompts = [{seed.frame: seed.prompt} for seed in seeds]
        for tracked in track_objects(self.backbone, source, prompts):
            levels = quantise(tracked.gated_logits)
            for number, own in zip(tracked.objects, levels, strict=True):
                maps[number].put(tracked.frame, own)
        return maps

    @staticmethod
    def _groups(maps: Sequence[LogitMaps], total: int) -> list[list[int]]:
        """Visible tracks, equal ones together."""
        shown = [number for number, own in enumerate(maps) if own.visible]
        if not shown:
            return []
        frames = compared_frames(total)
        small = torch.stack([own.small_logits(frames) > 0 for own in maps])
        return merged_groups(small, shown, MERGE)
