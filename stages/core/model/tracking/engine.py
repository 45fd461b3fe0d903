"""The steps of tracking many objects: which of them form a batch, and which memories stay."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from stages.core.engine.failures import is_out_of_memory
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import MemoryBank, read_session
from stages.core.model.backbones.prompted import PromptedTracker, TrackedFrame
from stages.core.model.backbones.records import Decoded, Prompts
from stages.core.model.tracking.banks import drop_unread, prompted_alone
from stages.core.model.tracking.prompts import join_prompts, prompt_shape
from stages.core.model.tracking.sources import FeatureSource

LIVE_COPIES = 8
"""Tensors as large as a frame's coarse features that each object takes at one time: queries of
memory attention, the decoder's upscaled levels, the mask that the memory encoder reads."""


@dataclass(frozen=True)
class TrackedObjects(TrackedFrame):
    """Result of one frame for B of the objects.

    Attributes:
        objects: (B,) their numbers, in the order of the rows of ``decoded``.
    """

    objects: tuple[int, ...]


@dataclass(eq=False)
class ObjectTrack:
    """One object while it is tracked in one direction.

    Attributes:
        number: among the objects.
        prompts: by frame, in order of time.
        bank: the prompted frames, and those tracked in this direction.
        ahead: results of prompted frames that the direction has not reached.
        turned: the direction is the second one; the first has read the prompts.
    """

    number: int
    prompts: dict[int, Prompts]
    bank: MemoryBank
    ahead: dict[int, Decoded] = field(default_factory=dict, init=False)
    turned: bool = field(default=False, init=False)

    def turn(self) -> None:
        """Start the other direction with a bank of the prompted frames alone."""
        self.bank = prompted_alone(self.bank)
        self.turned = True

    def start(self, *, reverse: bool) -> int:
        """First frame of a direction; -1 if it has none."""
        if self.turned:
            return min(self.prompts) - 1
        return max(self.prompts) if reverse else min(self.prompts)

    def reached(self, frame: int, *, reverse: bool) -> bool:
        """Return whether a direction has come to the object's first frame."""
        start = self.start(reverse=reverse)
        return frame <= start if reverse else frame >= start


class Engine:
    """Steps objects through the frames of a video.

    Args:
        backbone: in eval mode.
        source: features of the frames.
    """

    def __init__(self, backbone: Backbone, source: FeatureSource):
        self._backbone = backbone
        self._source = source
        self._most = budgets.ITEMS_PER_BATCH

    def prompt_ahead(self, tracks: Sequence[ObjectTrack], *, reverse: bool) -> None:
        """Read the prompts on all frames but an object's first: its first frames need them."""
        frames = {
            frame
            for track in tracks
            for frame in track.prompts
            if frame != track.start(reverse=reverse)
        }
        for frame in sorted(frames):
            own = [
                track
                for track in tracks
                if frame in track.prompts and frame != track.start(reverse=reverse)
            ]
            for found in self.prompt(frame, self._source.of([frame]), own):
                for row, number in enumerate(found.objects):
                    track = next(track for track in own if track.number == number)
                    track.ahead[frame] = _row(found.decoded, row)

    def sweep(self, tracks: Sequence[ObjectTrack], *, reverse: bool) -> Iterator[TrackedObjects]:
        """Take all objects through the frames of one direction."""
        starts = [track.start(reverse=reverse) for track in tracks]
        order = range(max(starts), -1, -1) if reverse else range(min(starts), len(self._source))
        for frame in order:
            here = [track for track in tracks if track.reached(frame, reverse=reverse)]
            features = self._source.of([frame])
            known = [track for track in here if frame in track.ahead]
            for track in known:
                yield TrackedObjects(frame, track.ahead.pop(frame), True, (track.number,))
            others = [track for track in here if track not in known]
            prompted = [track for track in others if frame in track.prompts]
            yield from self.prompt(frame, features, prompted)
            rest = [track for track in others if frame not in track.prompts]
            yield from self._track(frame, features, rest, reverse=reverse)
            for track in here:
                drop_unread(track.bank, frame, self._backbone)

    def prompt(
        self,
        frame: int,
        features: FrameFeatures,
        tracks: Sequence[ObjectTrack],
        *,
        write: bool = True,
    ) -> Iterator[TrackedObjects]:
        """Segment the objects that are prompted on a frame, and remember them if asked to."""

        def work(batch: Sequence[ObjectTrack]) -> TrackedFrame:
            prompts = join_prompts([track.prompts[frame] for track in batch])
            repeated = _repeat(features, len(batch))
            return self._tracker(batch).step(frame, repeated, prompts, write=write)

        for batch in _grouped(tracks, lambda track: prompt_shape(track.prompts[frame])):
            yield from self._batches(batch, work, self._most_of(features, 0))
        for track in tracks:
            track.bank.entries.sort(key=lambda entry: entry.frame)

    def _track(
        self,
        frame: int,
        features: FrameFeatures,
        tracks: Sequence[ObjectTrack],
        *,
        reverse: bool,
    ) -> Iterator[TrackedObjects]:
        """Segment and remember the objects on a frame by their memories."""
        total = len(self._source)

        def shape(track: ObjectTrack) -> tuple[int, int]:
            read = read_session(track.bank, frame, total, self._backbone, reverse=reverse)
            return read.shape

        def work(batch: Sequence[ObjectTrack]) -> TrackedFrame:
            repeated = _repeat(features, len(batch))
            return self._tracker(batch).step(frame, repeated, reverse=reverse)

        if tracks:
            shapes = {track.number: shape(track) for track in tracks}
            in_runs = sorted(tracks, key=lambda track: shapes[track.number])
            memories, _ = shapes[in_runs[-1].number]
            yield from self._batches(in_runs, work, self._most_of(features, memories))

    def _tracker(self, tracks: Sequence[ObjectTrack]) -> PromptedTracker:
        banks = [track.bank for track in tracks]
        return PromptedTracker(self._backbone, len(self._source), banks=banks)

    def _batches(
        self,
        tracks: Sequence[ObjectTrack],
        work: Callable[[Sequence[ObjectTrack]], TrackedFrame],
        most: int,
    ) -> Iterator[TrackedObjects]:
        """Do the work of one frame in batches; out of memory halves them for the rest of the run.

        Nothing is written to a bank before a batch is computed, so it can be repeated.
        """
        start = 0
        while start < len(tracks):
            batch = tracks[start : start + min(most, self._most)]
            try:
                with torch.inference_mode():
                    found = work(batch)
            except (MemoryError, RuntimeError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self._most = len(batch) // 2
                continue
            start += len(batch)
            numbers = tuple(track.number for track in batch)
            yield TrackedObjects(
                frame=found.frame, decoded=found.decoded, prompted=found.prompted, objects=numbers
            )

    def _most_of(self, features: FrameFeatures, memories: int) -> int:
        """Most objects of one batch by the bytes that memory attention takes for each.

        Args:
            features: of one frame.
            memories: remembered frames that each object reads.
        """
        backbone = self._backbone
        side = features.coarse.shape[-1]
        tokens = memories * side * side
        keys = tokens * 2 * (backbone.channels + backbone.memory_channels)
        queries = LIVE_COPIES * features.coarse[0].numel()
        return max(1, budgets.TRACKED_BYTES // (budgets.FLOAT_BYTES * (keys + queries)))


def _repeat(features: FrameFeatures, count: int) -> FrameFeatures:
    """One frame as B, without copies."""
    return replace(
        features,
        fine=features.fine.expand(count, -1, -1, -1),
        middle=features.middle.expand(count, -1, -1, -1),
        coarse=features.coarse.expand(count, -1, -1, -1),
    )


def _row(decoded: Decoded, row: int) -> Decoded:
    """One object's result, as a copy: a view would keep the batch in memory."""
    pointer = decoded.pointer
    return Decoded(
        candidates=decoded.candidates[[row]],
        iou=decoded.iou[[row]],
        tokens=decoded.tokens[[row]],
        object_score=decoded.object_score[[row]],
        pointer=None if pointer is None else pointer[[row]],
    )


def _grouped(
    tracks: Iterable[ObjectTrack], key: Callable[[ObjectTrack], Hashable]
) -> list[list[ObjectTrack]]:
    """Tracks of equal key together, in the order of their first one."""
    groups: dict[Hashable, list[ObjectTrack]] = {}
    for track in tracks:
        groups.setdefault(key(track), []).append(track)
    return list(groups.values())
