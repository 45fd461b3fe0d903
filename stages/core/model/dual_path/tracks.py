"""Tracks: one sentence with one memory bank, and the order in which its frames are segmented."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from stages.core.media.spans import spans_of
from stages.core.model import budgets
from stages.core.model.backbones.memory import MemoryBank


@dataclass(eq=False, kw_only=True)
class Track(ABC):
    """One sentence with one memory bank.

    Attributes:
        expression: row of the sentence.
        bank: the frames written so far.
    """

    expression: int
    bank: MemoryBank = field(default_factory=MemoryBank)

    @abstractmethod
    def drop_unread(self, most: int) -> None:
        """Drop the memories that no later frame will read.

        Args:
            most: memories that one frame reads.
        """


@dataclass(frozen=True)
class Item:
    """One frame of one track.

    Attributes:
        track: that it belongs to.
        position: its place in the clip.
        frame: its number in the video.
    """

    track: Track
    position: int
    frame: int

    @property
    def expression(self) -> int:
        """Row of its sentence."""
        return self.track.expression


@dataclass(eq=False, kw_only=True)
class ClipTrack(Track):
    """A track of a clip that is known as a whole.

    Attributes:
        times: (T,) ascending frame numbers of the clip's positions.
        guided: positions of the frames that are guided and written, ascending.
        others: positions of the frames that only read, ascending.
    """

    times: np.ndarray
    guided: tuple[int, ...]
    others: tuple[int, ...]

    def item(self, position: int) -> Item:
        """The frame at a position."""
        return Item(self, position, int(self.times[position]))

    def drop_unread(self, most: int, *, done: int = 0) -> None:
        """Drop memories deep inside a moment.

        An unguided frame reads the nearest memories on both sides of the run of unguided frames
        that it lies in; a guided one reads the last ones.

        Args:
            most: memories that one frame reads.
            done: of ``outwards``, the positions that are segmented already.
        """
        known = sorted(self.bank.frames)
        writing = self.guided and (not known or known[-1] < int(self.times[self.guided[-1]]))
        wanted = set(known[-most:]) if writing else set()
        others = np.array(sorted(self.outwards()[done:]) if done else self.others, int)
        for run in np.split(others, np.flatnonzero(np.diff(others) != 1) + 1):
            if len(run):
                before = bisect_left(known, int(self.times[run[0]]))
                after = bisect_right(known, int(self.times[run[-1]]))
                wanted.update(known[max(0, before - most) : before], known[after : after + most])
        self.bank.keep_only(wanted)

    def outwards(self) -> list[int]:
        """Unguided positions, those nearest to a guided frame first."""
        guided = self.times[list(self.guided)]

        def distance(position: int) -> int:
            return int(np.abs(guided - self.times[position]).min()) if len(guided) else 0

        return sorted(self.others, key=lambda position: (distance(position), position))


def plan_tracks(relevant: np.ndarray, times: np.ndarray, *, per_moment: bool) -> list[ClipTrack]:
    """Tracks of E sentences.

    Args:
        relevant: (E, T) bool, the frames to guide.
        times: (E, T) or (T,) ascending frame numbers.
        per_moment: one track per contiguous moment instead of one per sentence.

    Returns:
        Tracks in the order of sentences, then of time; a sentence without relevant frames has
        one track that guides nothing.
    """
    relevant = np.asarray(relevant, bool)
    times = np.broadcast_to(times, relevant.shape)
    tracks = []
    for expression, row in enumerate(relevant):
        moments = [np.arange(start, end) for start, end in spans_of(row)]
        if not per_moment or not moments:
            moments = [np.flatnonzero(row)]
        for moment in moments:
            others = np.setdiff1d(np.arange(len(row)), moment)
            tracks.append(
                ClipTrack(
                    expression=expression,
                    times=times[expression],
                    guided=tuple(moment.tolist()),
                    others=tuple(others.tolist()),
                )
            )
    return tracks


def guided_rounds(tracks: Sequence[ClipTrack], *, by_time: bool) -> Iterator[list[Item]]:
    """Guided items in rounds; the items of a round do not depend on each other.

    Args:
        by_time: take each position once, with all the tracks that it guides; else the first
            guided frame of every track, then the second, and so on.
    """
    if by_time:
        items = [track.item(position) for track in tracks for position in track.guided]
        items.sort(key=lambda item: item.position)
        yield from (list(own) for _, own in groupby(items, key=lambda item: item.position))
        return
    yield from _ranked(tracks, [track.guided for track in tracks])


def other_rounds(
    tracks: Sequence[ClipTrack], *, by_time: bool, written: bool
) -> Iterator[list[Item]]:
    """Unguided items in rounds; the items of a round do not depend on each other.

    Args:
        by_time: in blocks of positions, so that few features are needed at a time; else at once.
        written: they may be written: one per track, near ones first.
    """
    if written:
        yield from _ranked(tracks, [track.outwards() for track in tracks])
        return
    items = [track.item(position) for track in tracks for position in track.others]
    items.sort(key=lambda item: item.position)
    if not by_time:
        yield items
        return
    # A round's items are grouped by the memories they read, which undoes the order of time.
    blocks = groupby(items, key=lambda item: item.position // budgets.POSITIONS_PER_ROUND)
    yield from (list(block) for _, block in blocks)


def _ranked(
    tracks: Sequence[ClipTrack], positions: Sequence[Sequence[int]]
) -> Iterator[list[Item]]:
    """The first position of every track, then the second, and so on."""
    for rank in range(max(map(len, positions), default=0)):
        yield [
            track.item(own[rank])
            for track, own in zip(tracks, positions, strict=True)
            if rank < len(own)
        ]
