"""The memory bank of a track, and the choice of the memories that a frame reads.

A bank is made per track and passed around; nothing is kept on a module. Reading is a pure choice
of entries (``read_nearest``, ``read_session``); ``collate`` turns the choices of a batch into the
tokens that memory attention takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import torch
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.backbones.steps.tables import kept_table

PROMPTED_SLOT = -1
"""Temporal code of frames that a user prompted; it is the last one of SAM 2's table."""


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered frame of one track.

    Attributes:
        frame: number of the frame in its video.
        features: (N, Cm) memory tokens; the backbone fixes N.
        pointer: (C,) object pointer.
        prompted: its mask came from a prompt (SAM 2's conditioning frames).
    """

    frame: int
    features: Tensor
    pointer: Tensor
    prompted: bool = False


@dataclass
class MemoryBank:
    """The memories of one track, in order of writing.

    Attributes:
        dtype: type that memory tokens are kept in; None keeps them unchanged. bfloat16 is the type
            of SAM 2's session, and halves the memory.
    """

    dtype: torch.dtype | None = None
    entries: list[MemoryEntry] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def frames(self) -> list[int]:
        """Numbers of the remembered frames, in order of writing."""
        return [entry.frame for entry in self.entries]

    @property
    def ends(self) -> tuple[int, int]:
        """Numbers of the first and the last remembered frame; 0 and -1 if there is none."""
        frames = self.frames
        return (min(frames), max(frames)) if frames else (0, -1)

    def write(
        self, frame: int, features: Tensor, pointer: Tensor, *, prompted: bool = False
    ) -> None:
        """Remember a frame; its older entry, if any, is replaced.

        Args:
            frame: its number in the video.
            features: (N, Cm).
            pointer: (C,).
            prompted: see ``MemoryEntry``.
        """
        if self.dtype is not None:
            features = features.to(self.dtype)
        entry = MemoryEntry(frame, features, pointer, prompted)
        self.entries = [old for old in self.entries if old.frame != frame]
        self.entries.append(entry)

    def keep_only(self, frames: Iterable[int]) -> None:
        """Drop all other frames, to bound the memory of a long moment."""
        wanted = set(frames)
        self.entries = [entry for entry in self.entries if entry.frame in wanted]


@dataclass(frozen=True)
class MemoryRead:
    """The memories that one item reads.

    Attributes:
        entries: (entry, slot of the temporal code table).
        pointers: (entry, distance in time as a fraction of the longest one).
    """

    entries: tuple[tuple[MemoryEntry, int], ...]
    pointers: tuple[tuple[MemoryEntry, float], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of entries and pointers; items of equal shape can be one batch."""
        return len(self.entries), len(self.pointers)


def nearest_frames(frames: Sequence[int], frame: int, count: int) -> list[int]:
    """The ``count`` numbers of ``frames`` nearest to ``frame``, nearest first, earlier if tied."""
    return sorted(frames, key=lambda other: (abs(other - frame), other))[:count]


def read_nearest(
    bank: MemoryBank, frame: int, memory_frames: int, backbone: Backbone
) -> MemoryRead:
    """The K entries nearest in time, from both sides; positions are ranks (docs/model.md).

    A frame does not read itself.

    Args:
        bank: of the item's track.
        frame: number of the frame that reads.
        memory_frames: K.
        backbone: for the sizes of its code tables.
    """
    by_frame = {entry.frame: entry for entry in bank.entries if entry.frame != frame}
    near = nearest_frames(list(by_frame), frame, max(memory_frames, backbone.max_pointers))
    last_slot = backbone.memory_slots - 2  # the table's last code belongs to prompted frames
    entries = tuple(
        (by_frame[other], min(rank, last_slot)) for rank, other in enumerate(near[:memory_frames])
    )
    longest = backbone.max_pointers - 1
    pointers = tuple(
        (by_frame[other], min(rank + 1, longest) / longest)
        for rank, other in enumerate(near[: backbone.max_pointers])
    )
    return MemoryRead(entries, pointers)


def read_session(
    bank: MemoryBank, frame: int, total_frames: int, backbone: Backbone, *, reverse: bool
) -> MemoryRead:
    """The memories that SAM 2's own tracker reads: prompted frames, and those just passed.

    Where the model limits the prompted frames, the others are read like tracked ones.

    Args:
        bank: of the object.
        frame: number of the frame that reads.
        total_frames: frames of the whole video.
        backbone: for the sizes of its code tables.
        reverse: tracking runs backwards in time.
    """
    sign = -1 if reverse else 1
    prompted = [entry for entry in bank.entries if entry.prompted]
    tracked = {(frame - entry.frame) * sign: entry for entry in bank.entries if not entry.prompted}
    near = nearest_prompted(prompted, frame, backbone.max_prompted)
    read = {entry.frame for entry in near}
    rest = {(frame - entry.frame) * sign: entry for entry in prompted if entry.frame not in read}
    recent = rest | tracked
    entries = [(entry, PROMPTED_SLOT) for entry in near]
    for distance in range(backbone.memory_slots - 1, 0, -1):
        if distance in recent:
            entries.append((recent[distance], distance - 1))
    most = min(total_frames, backbone.max_pointers)
    passed = [(entry, (frame - entry.frame) * sign) for entry in prompted]
    pointers = [(entry, distance) for entry, distance in passed if distance >= 0]
    pointers += [(tracked[d], d) for d in range(1, most) if d in tracked]
    longest = max(most - 1, 1)
    return MemoryRead(
        tuple(entries), tuple((entry, distance / longest) for entry, distance in pointers)
    )


def nearest_prompted(entries: Sequence[MemoryEntry], frame: int, most: int) -> list[MemoryEntry]:
    """Some of the prompted frames: the nearest one on each side in time, then the nearest others.

    Args:
        entries: of the prompted frames.
        frame: number of the frame that reads.
        most: their number, at least 2; -1 chooses all.
    """
    if most < 0 or len(entries) <= most:
        return list(entries)
    in_time = sorted(entries, key=lambda entry: entry.frame)
    before = [entry for entry in in_time if entry.frame < frame]
    chosen = before[-1:] + in_time[len(before) : len(before) + 1]
    sides = {entry.frame for entry in chosen}
    others = sorted(
        (entry for entry in entries if entry.frame not in sides),
        key=lambda entry: abs(entry.frame - frame),
    )
    return chosen + others[: max(0, most - len(chosen))]


def collate(
    reads: Sequence[MemoryRead], backbone: Backbone, side: tuple[int, int]
) -> MemoryTokens | None:
    """Stack the reads of B items, which all have the same shape; None if they read nothing.

    Args:
        reads: one per item.
        backbone: for positions and codes.
        side: (h, w) of the coarse level.

    Raises:
        ValueError: the shapes differ.
    """
    shapes = {read.shape for read in reads}
    if len(shapes) != 1:
        raise ValueError(f"items of one batch read different numbers of memories: {sorted(shapes)}")
    if not reads[0].entries:
        return None
    like = reads[0].entries[0][0].pointer
    pointers = len(reads[0].pointers)
    splits = backbone.channels // backbone.memory_channels
    places = [_places(read) for read in reads]
    # Objects that were first seen on one frame have equal positions: they are made once.
    alike = all(place == places[0] for place in places)
    position = _positions(places[:1] if alike else places, backbone, side, like)  # (1 or B, L, Cm)
    return MemoryTokens(
        _tokens(reads, backbone.memory_channels, like.dtype).transpose(0, 1),
        position.expand(len(reads), -1, -1).transpose(0, 1),
        pointers * splits,
    )


def collate_runs(
    reads: Sequence[MemoryRead], backbone: Backbone, side: tuple[int, int]
) -> MemoryTokens | list[MemoryTokens] | None:
    """As ``collate``, but the shapes may differ: one stack for each run of equal shapes.

    A single stack comes without a list. In eval mode only.
    """
    runs = [list(own) for _, own in groupby(reads, key=lambda read: read.shape)]
    if len(runs) == 1:
        return collate_shared(reads, backbone, side)
    stacks = [collate(run, backbone, side) for run in runs]
    if any(stack is None for stack in stacks):
        raise ValueError("an item of the batch remembers nothing")
    return [stack for stack in stacks if stack is not None]


def collate_shared(
    reads: Sequence[MemoryRead], backbone: Backbone, side: tuple[int, int]
) -> MemoryTokens | None:
    """As ``collate``, but equal reads are stacked once, each with its owners; in eval mode only."""
    distinct, owner = _distinct(reads)
    shared = collate(distinct, backbone, side)
    return None if shared is None else replace(shared, owner=owner)


def _distinct(reads: Sequence[MemoryRead]) -> tuple[list[MemoryRead], tuple[int, ...]]:
    """Reads without repetition, and for each of the given ones its index among them.

    The unguided frames on one side of a moment all read the same entries in the same order.
    """
    index: dict[tuple[object, ...], int] = {}
    places: dict[int, int] = {}  # of records, most of which are one and the same
    distinct: list[MemoryRead] = []
    for read in reads:
        if id(read) in places:
            continue
        key = tuple((id(entry), place) for entry, place in (*read.entries, *read.pointers))
        if key not in index:
            index[key] = len(distinct)
            distinct.append(read)
        places[id(read)] = index[key]
    return distinct, tuple(places[id(read)] for read in reads)


def _places(read: MemoryRead) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Slots of the entries and distances of the pointers."""
    return tuple(slot for _, slot in read.entries), tuple(offset for _, offset in read.pointers)


def _tokens(reads: Sequence[MemoryRead], width: int, dtype: torch.dtype) -> Tensor:
    """(B, L, Cm) tokens of the entries, then the pointers cut into tokens of the same width."""
    parts = []
    for read in reads:
        parts += [entry.features.to(dtype) for entry, _ in read.entries]
        parts += [entry.pointer.view(-1, width) for entry, _ in read.pointers]
    return torch.cat(parts).view(len(reads), -1, width)


def _positions(
    places: Sequence[tuple[tuple[int, ...], tuple[float, ...]]],
    backbone: Backbone,
    side: tuple[int, int],
    like: Tensor,
) -> Tensor:
    """(B, L, Cm) positions in frame and time of the entries, and in time of the pointers.

    Args:
        places: for each item, what ``_places`` returns.
        backbone: for the codes.
        side: (h, w) of the coarse level.
        like: a tensor of the wanted type and device.
    """
    slots = sorted({slot for own, _ in places for slot in own})
    spatial = kept_table(
        backbone,
        ("memory", side, like.device, like.dtype),
        lambda: backbone.memory_position(side, like),
    )  # (N, Cm)
    in_time = {slot: spatial + backbone.temporal_code(slot) for slot in slots}
    entries = torch.stack([torch.cat([in_time[slot] for slot in own]) for own, _ in places])
    offsets = torch.tensor([own for _, own in places], dtype=torch.float32).to(like.device)
    if not offsets.numel():
        return entries
    pointers = backbone.pointer_position(offsets.flatten()).to(like.dtype)  # (B * P, Cm)
    splits = backbone.channels // backbone.memory_channels
    pointers = pointers.repeat_interleave(splits, dim=0).view(len(places), -1, entries.shape[2])
    return torch.cat([entries, pointers], dim=1)
