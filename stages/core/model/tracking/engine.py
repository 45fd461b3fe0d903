"""The steps of tracking many objects: which of them form a batch, and which memories stay."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

import torch

from stages.core.engine.batches import BatchSize
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures, RepeatedFeatures
from stages.core.model.backbones.memory import MemoryBank, MemoryRead, read_session
from stages.core.model.backbones.prompted import PromptedTracker, Step, TrackedFrame
from stages.core.model.backbones.records import Decoded, Prompts
from stages.core.model.tracking.banks import drop_unread, prompted_alone
from stages.core.model.tracking.prompts import join_prompts, prompt_shape
from stages.core.model.tracking.sources import FeatureSource


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
        first: the frame that the direction starts with.
        reverse: it runs backwards in time.
        known: results of the prompted frames that the direction has not reached.
    """

    number: int
    prompts: dict[int, Prompts]
    bank: MemoryBank
    first: int
    reverse: bool = False
    known: dict[int, Decoded] = field(default_factory=dict, init=False)

    def before(self) -> ObjectTrack:
        """The same object on the frames before its first one, with a bank of the prompted ones."""
        bank = prompted_alone(self.bank)
        return ObjectTrack(self.number, self.prompts, bank, self.first - 1, reverse=True)

    def reached(self, frame: int) -> bool:
        """Return whether its direction has come to the first frame."""
        return frame <= self.first if self.reverse else frame >= self.first


class Engine:
    """Steps objects through the frames of a video.

    Args:
        backbone: in eval mode.
        source: features of the frames.
    """

    def __init__(self, backbone: Backbone, source: FeatureSource):
        self._backbone = backbone
        self._source = source
        self._size = BatchSize(budgets.ITEMS_PER_BATCH)

    def read_prompts(self, tracks: Sequence[ObjectTrack]) -> None:
        """Read all prompts: every frame of an object needs them."""
        for frame in sorted({frame for track in tracks for frame in track.prompts}):
            own = {track.number: track for track in tracks if frame in track.prompts}
            for found in self.prompt(frame, self._source.of([frame]), list(own.values())):
                for row, number in enumerate(found.objects):
                    own[number].known[frame] = found.decoded[[row]]  # a view would keep the batch

    def sweep(self, tracks: Sequence[ObjectTrack]) -> Iterator[TrackedObjects]:
        """Take all objects through the frames of their directions.

        A frame of each direction form one batch: they do not depend on each other. An object's
        first frame is known, so the backward direction waits for it: then both have read equally
        many memories.
        """
        forward = [track for track in tracks if not track.reverse]
        backward = [track for track in tracks if track.reverse and track.first >= 0]
        onward, back = range(0), range(0)
        if forward:
            onward = range(min(track.first for track in forward), len(self._source))
        if backward:
            back = range(max(track.first for track in backward), -1, -1)
        for frames in zip_longest(onward, chain([None], back)):
            here = [
                (track, frame)
                for frame, own in zip(frames, (forward, backward), strict=True)
                if frame is not None
                for track in own
                if track.reached(frame)
            ]
            if here:
                yield from self._step(here)

    def _step(self, here: Sequence[tuple[ObjectTrack, int]]) -> Iterator[TrackedObjects]:
        """Take objects to one frame each, on one of two frames."""
        frames = list(dict.fromkeys(frame for _, frame in here))
        features = self._source.of(frames)
        rest = []
        for track, frame in here:
            if frame in track.known:
                yield TrackedObjects(frame, track.known.pop(frame), True, (track.number,))
            else:
                rest.append((track, frame))
        yield from self._track(frames, features, rest)
        for track, frame in here:
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

        def work(batch: Sequence[ObjectTrack]) -> Decoded:
            prompts = join_prompts([track.prompts[frame] for track in batch])
            banks = [track.bank for track in batch]
            tracker = PromptedTracker(self._backbone, len(self._source), banks=banks)
            repeated = _repeat(features, [0] * len(batch))
            return tracker.step(frame, repeated, prompts, write=write).decoded

        for group in _grouped(tracks, lambda track: prompt_shape(track.prompts[frame])):
            for batch, found in self._batches(group, work, self._most_of(features, 0)):
                yield TrackedObjects(frame, found, True, tuple(track.number for track in batch))
        for track in tracks:
            track.bank.entries.sort(key=lambda entry: entry.frame)

    def _track(
        self,
        frames: Sequence[int],
        features: FrameFeatures,
        items: Sequence[tuple[ObjectTrack, int]],
    ) -> Iterator[TrackedObjects]:
        """Segment and remember objects by their memories.

        Args:
            frames: numbers of the frames that they show.
            features: of these frames.
            items: objects, each with its frame.
        """
        if not items:
            return
        total = len(self._source)

        def read(track: ObjectTrack, frame: int) -> MemoryRead:
            return read_session(track.bank, frame, total, self._backbone, reverse=track.reverse)

        def work(batch: Sequence[_Item]) -> Decoded:
            repeated = _repeat(features, [frames.index(item.frame) for item in batch])
            tracker = PromptedTracker(
                self._backbone, total, banks=[item.track.bank for item in batch]
            )
            steps = [Step(item.frame, reverse=item.track.reverse) for item in batch]
            return tracker.track(steps, repeated, [item.read for item in batch])

        in_runs = sorted(
            (_Item(track, frame, read(track, frame)) for track, frame in items),
            key=lambda item: item.read.shape,
        )
        memories, _ = in_runs[-1].read.shape
        for batch, found in self._batches(in_runs, work, self._most_of(features, memories)):
            yield from _by_frame(batch, found)

    def _batches(
        self, items: Sequence[Any], work: Callable[[Sequence[Any]], Decoded], most: int
    ) -> Iterator[tuple[Sequence[Any], Decoded]]:
        """Do work in batches; out of memory halves them for the rest of the run.

        Nothing is written to a bank before a batch is computed, so it can be repeated.
        """

        def quietly(batch: Sequence[Any]) -> Decoded:
            with torch.inference_mode():
                return work(batch)

        yield from self._size.run(items, quietly, most=most)

    def _most_of(self, features: FrameFeatures, memories: int) -> int:
        """Most objects of one batch by the bytes that memory attention takes for each.

        Args:
            features: of one frame.
            memories: remembered frames that each object reads.
        """
        coarse = features.coarse
        each = budgets.item_bytes(
            tokens=coarse[0, 0].numel(),
            memories=memories,
            channels=self._backbone.channels,
            memory_channels=self._backbone.memory_channels,
        )
        limit = budgets.share_of_gpu(coarse.device, budgets.BATCH_SHARE) or budgets.TRACKED_BYTES
        return max(1, limit // each)


def _repeat(features: FrameFeatures, rows: Sequence[int]) -> RepeatedFeatures:
    """Some of n frames as B items."""
    return RepeatedFeatures(features, torch.tensor(rows, device=features.coarse.device))


@dataclass(frozen=True)
class _Item:
    """An object on a frame, and the memories that it reads there."""

    track: ObjectTrack
    frame: int
    read: MemoryRead


def _by_frame(batch: Sequence[_Item], found: Decoded) -> Iterator[TrackedObjects]:
    """The results of a batch, frame by frame."""
    for frame in dict.fromkeys(item.frame for item in batch):
        rows = [row for row, item in enumerate(batch) if item.frame == frame]
        numbers = tuple(batch[row].track.number for row in rows)
        together = len(rows) == rows[-1] - rows[0] + 1
        part = found[rows[0] : rows[-1] + 1] if together else found[rows]
        yield TrackedObjects(frame, part, False, numbers)


def _grouped(
    tracks: Iterable[ObjectTrack], key: Callable[[ObjectTrack], Hashable]
) -> list[list[ObjectTrack]]:
    """Tracks of equal key together, in the order of their first one."""
    groups: dict[Hashable, list[ObjectTrack]] = {}
    for track in tracks:
        groups.setdefault(key(track), []).append(track)
    return list(groups.values())
