"""Finding the objects of a video: which proposals of different frames are one object.

The frame with the best proposals that no track explains starts a track for each of them, these are
tracked in both directions, and take the proposals that they explain on other frames; and so on
until every proposal belongs to a track. `tgl track` tracks the searched frames as a short clip of
their own, which costs a fraction of the video; `tgl propagate` tracks the whole video at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.records import Prompts
from stages.core.model.tracking.objects import track_objects
from stages.core.model.tracking.overlaps import pairwise_iou, small_masks
from stages.core.model.tracking.sources import FeatureSource

SEEDS_PER_TRACK = 4
"""Tracks that may be started for each one that is kept."""
LOST_AFTER = 2
"""Searched frames in a row without a proposal that a track explains, although it is visible: beyond
them, its proposals do not prompt it, since it may have moved to another object."""


@dataclass(eq=False)
class Proposal:
    """One object on one frame.

    Attributes:
        frame: position in the video.
        prompt: of one object, in the backbone's image.
        mask: bool (m, m).
        weight: how sure the mask is, from 0 to 1.
        rows: numbers of what names it: candidates, or sentences.
        score: the highest of these.
    """

    frame: int
    prompt: Prompts
    mask: Tensor
    weight: float
    rows: list[int]
    score: float


TrackSeeds = Callable[[Sequence[Proposal]], Tensor]
"""Tracks A seeds; returns their masks, bool (A, n, m, m), on the n searched frames."""


@dataclass(eq=False)
class FoundObject:
    """One object: proposals of several frames that a track explains.

    Attributes:
        seed: the proposal that started the track.
        proposals: all that belong to it, with the IoU of each with the track's mask; the seed's
            is 1.
        visible: searched frames on which the track has a mask.
        weight: of the seed.
    """

    seed: Proposal
    proposals: list[tuple[Proposal, float]]
    visible: list[int]

    @property
    def frames(self) -> list[int]:
        """Searched frames with a proposal of the object, ascending."""
        return sorted({proposal.frame for proposal, _ in self.proposals})

    @property
    def support(self) -> float:
        """Share of the searched frames with the object that have a proposal of it."""
        return len(self.frames) / len({*self.visible, *self.frames})

    @property
    def rows(self) -> list[int]:
        """Numbers of the candidates that name the object, ascending."""
        return sorted(row for proposal, _ in self.proposals for row in proposal.rows)

    def prompts(self, most: int, searched: Sequence[int]) -> dict[int, Prompts]:
        """The prompts of the best frames: the seed, and those near it in an unbroken run.

        Args:
            most: number of frames.
            searched: all searched frames, ascending.
        """
        best: dict[int, tuple[Proposal, float]] = {}
        for proposal, iou in self.proposals:
            known = best.get(proposal.frame)
            if known is None or iou > known[1]:
                best[proposal.frame] = (proposal, iou)
        run = self._unbroken(searched)
        ranked = sorted(
            (frame for frame in best if frame in run and frame != self.seed.frame),
            key=lambda frame: (-best[frame][0].weight * best[frame][1], frame),
        )
        chosen = sorted([self.seed.frame, *ranked[: most - 1]])
        return {frame: best[frame][0].prompt for frame in chosen}

    def _unbroken(self, searched: Sequence[int]) -> set[int]:
        """Searched frames around the seed up to a gap of ``LOST_AFTER`` unconfirmed ones."""
        confirmed, visible = set(self.frames), set(self.visible)
        start, run = list(searched).index(self.seed.frame), {self.seed.frame}
        for step in (1, -1):
            place, missing = start + step, 0
            while 0 <= place < len(searched) and missing < LOST_AFTER:
                frame = searched[place]
                if frame in confirmed:
                    run.add(frame)
                    missing = 0
                elif frame in visible:
                    missing += 1
                place += step
        return run


@dataclass(frozen=True)
class Search:
    """Result of the search.

    Attributes:
        objects: with the best supported one first.
        left: proposals that no track explains, since too many tracks were started.
    """

    objects: list[FoundObject]
    left: list[Proposal]


def find_objects(
    backbone: Backbone,
    source: FeatureSource,
    frames: Sequence[int],
    proposals: Sequence[Proposal],
    *,
    join: float,
    max_tracks: int,
    advance: Callable[[int], None] = lambda objects: None,
    after_round: Callable[[Sequence[FoundObject], int], None] = lambda objects, seeds: None,
) -> Search:
    """Sort the proposals of all searched frames into objects, by tracking these frames alone.

    Args:
        backbone: in eval mode.
        source: features of the searched frames.
        frames: their positions in the video, ascending.
        proposals: on these frames.
        join: IoU from which a track explains a proposal.
        max_tracks: tracks that are kept later; a few times as many are started at most.
        advance: called with the number of objects that are finished on a searched frame.
        after_round: called with the objects found so far, and the number of tracks that may still
            be started if later ones explain as many proposals as these do.
    """

    def track(seeds: Sequence[Proposal]) -> Tensor:
        return _track(backbone, source, frames, seeds, advance)

    most = max_tracks * SEEDS_PER_TRACK
    return sort_proposals(
        frames, proposals, track, join=join, max_seeds=most, after_round=after_round
    )


def sort_proposals(
    frames: Sequence[int],
    proposals: Sequence[Proposal],
    track: TrackSeeds,
    *,
    join: float,
    max_seeds: int,
    after_round: Callable[[Sequence[FoundObject], int], None] = lambda objects, seeds: None,
) -> Search:
    """Sort proposals into objects, starting tracks until all are explained.

    Args:
        frames: searched positions in the video, ascending.
        proposals: on these frames.
        track: tracks a round of seeds.
        join: IoU from which a track explains a proposal.
        max_seeds: tracks that are started at most.
        after_round: see :func:`find_objects`.
    """
    waiting, objects = list(proposals), []
    room = max_seeds
    while waiting and room > 0:
        seeds = _next_seeds(waiting)[:room]
        room -= len(seeds)
        waiting = [proposal for proposal in waiting if proposal not in seeds]
        masks = track(seeds)  # (A, n, m, m)
        new = []
        for seed, own in zip(seeds, masks, strict=True):
            shown = own.flatten(1).any(dim=1).tolist()
            visible = [frame for frame, yes in zip(frames, shown, strict=True) if yes]
            new.append(FoundObject(seed, [(seed, 1.0)], visible))
        waiting = _join(new, masks, frames, waiting, join)
        objects += new
        explained = len(proposals) - len(waiting)
        after_round(objects, min(room, -(-len(waiting) * len(objects) // explained)))
    objects.sort(key=lambda found: -_confirmed(found))
    return Search(objects, waiting)


def _confirmed(found: FoundObject) -> float:
    """Frames that confirm an object, weighed by how sure its masks are there."""
    return sum(
        max(proposal.weight for proposal, _ in found.proposals if proposal.frame == frame)
        for frame in found.frames
    )


def _next_seeds(waiting: Sequence[Proposal]) -> list[Proposal]:
    """The proposals of the frame with the largest sum of weights, best first."""
    by_frame: dict[int, list[Proposal]] = {}
    for proposal in waiting:
        by_frame.setdefault(proposal.frame, []).append(proposal)
    best = max(by_frame, key=lambda frame: (sum(p.weight for p in by_frame[frame]), -frame))
    return sorted(by_frame[best], key=lambda proposal: -proposal.weight)


def _track(
    backbone: Backbone,
    source: FeatureSource,
    frames: Sequence[int],
    seeds: Sequence[Proposal],
    advance: Callable[[int], None],
) -> Tensor:
    """Masks bool (A, n, m, m) of A seeds on the searched frames."""
    side = seeds[0].mask.shape[-1]
    device = seeds[0].mask.device
    masks = torch.zeros(len(seeds), len(frames), side, side, dtype=torch.bool, device=device)
    prompts = [{list(frames).index(seed.frame): seed.prompt} for seed in seeds]
    for tracked in track_objects(backbone, source, prompts):
        masks[list(tracked.objects), tracked.frame] = small_masks(tracked.gated_logits)
        advance(len(tracked.objects))
    return masks


def _join(
    objects: Sequence[FoundObject],
    masks: Tensor,
    frames: Sequence[int],
    waiting: Sequence[Proposal],
    join: float,
) -> list[Proposal]:
    """Give proposals to the track that explains them best; returns those without one.

    The best pairs come first and each track takes one proposal of a frame; further ones that no
    other track takes are the same object drawn otherwise, and follow it.
    """
    pairs: list[tuple[float, int, int]] = []
    for place, frame in enumerate(frames):
        numbers = [n for n, proposal in enumerate(waiting) if proposal.frame == frame]
        if not numbers:
            continue
        iou = pairwise_iou(torch.stack([waiting[n].mask for n in numbers]), masks[:, place])
        for row, column in np.argwhere(iou >= join):
            pairs.append((float(iou[row, column]), numbers[row], int(column)))
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    taken: set[int] = set()
    used: set[tuple[int, int]] = set()
    for alone in (True, False):
        for iou_of_pair, number, column in pairs:
            proposal = waiting[number]
            if number in taken or (alone and (column, proposal.frame) in used):
                continue
            taken.add(number)
            used.add((column, proposal.frame))
            objects[column].proposals.append((proposal, iou_of_pair))
    return [proposal for number, proposal in enumerate(waiting) if number not in taken]
