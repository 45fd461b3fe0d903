"""Dual-path propagation: guided frames write memory banks, the other frames only read them.

Paper, section on moment-guided dual-path propagation. A track is one sentence with one memory
bank: all of its relevant frames, or one contiguous moment of them. Many tracks run as one batch;
what a track computes does not depend on the others.

Who makes the masks of the guided frames is not known here: a ``LanguagePath`` answers for them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

import numpy as np
import torch

from stages.core.media.spans import spans_of
from stages.core.model.backbones.backbone import Backbone, Decoded
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import (
    MemoryBank,
    MemoryRead,
    MemoryTokens,
    collate,
    read_nearest,
)
from stages.core.model.config import ModelConfig

ITEMS_PER_CALL = 256
"""Most items in one batch."""
FORGET_EVERY = 64
"""Writes to a bank between two looks at what it may forget."""
POSITIONS_PER_ROUND = 16
"""Frames that unguided items of one round come from, where features are not all in memory."""


@dataclass
class Track:
    """One sentence with one memory bank.

    Attributes:
        expression: row of the sentence.
        guided: clip positions of the frames that are guided and written, ascending.
        others: clip positions of the frames that only read, ascending.
        bank: what has been written.
    """

    expression: int
    guided: tuple[int, ...]
    others: tuple[int, ...]
    bank: MemoryBank = field(default_factory=MemoryBank)

    def forget(self, times: np.ndarray, most: int, *, writing: bool) -> None:
        """Drop memories that no frame will read: they lie deep inside a moment.

        An unguided frame reads the nearest memories on both sides of the run of unguided frames
        that it lies in; a guided one reads the last ones.

        Args:
            times: (T,) ascending frame numbers of the clip's positions.
            most: memories that one frame reads.
            writing: more guided frames follow.
        """
        known = sorted(self.bank.frames)
        wanted = set(known[-most:]) if writing else set()
        others = np.asarray(self.others, int)
        for run in np.split(others, np.flatnonzero(np.diff(others) != 1) + 1):
            if len(run):
                before = bisect_left(known, int(times[run[0]]))
                after = bisect_right(known, int(times[run[-1]]))
                wanted.update(known[max(0, before - most) : before], known[after : after + most])
        self.bank.keep_only(wanted)


@dataclass(frozen=True)
class Item:
    """One frame of one track.

    Attributes:
        track: index of the track.
        expression: row of its sentence.
        position: the frame's place in its clip.
    """

    track: int
    expression: int
    position: int


Fetch = Callable[[Sequence[Item]], FrameFeatures]
"""Features of B items, one frame each."""
Emit = Callable[[Sequence[Item], Decoded, bool], None]
"""Receives B items with their answer, and whether they were guided."""


class LanguagePath(Protocol):
    """Frames and sentences in, a mask and a score per frame out."""

    def answer(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """Masks of B guided items.

        Args:
            items: which sentences and frames.
            features: (B frames) of the frozen encoder.
            memory: what their tracks remember; None at the first frame of a track.
        """


def plan_tracks(
    relevant: np.ndarray, *, per_moment: bool, dtype: torch.dtype | None = None
) -> list[Track]:
    """Tracks of E sentences.

    Args:
        relevant: (E, T) bool, the frames to guide.
        per_moment: a track for each contiguous moment instead of one a sentence.
        dtype: type that banks keep memories in.

    Returns:
        Tracks in the order of sentences, then of time; a sentence without relevant frames has
        one track that guides nothing.
    """
    tracks = []
    for expression, row in enumerate(np.asarray(relevant, bool)):
        moments = [np.arange(start, end) for start, end in spans_of(row)]
        if not per_moment or not moments:
            moments = [np.flatnonzero(row)]
        for moment in moments:
            others = np.setdiff1d(np.arange(len(row)), moment)
            tracks.append(
                Track(
                    expression,
                    tuple(int(t) for t in moment),
                    tuple(int(t) for t in others),
                    MemoryBank(dtype),
                )
            )
    return tracks


class Segmenter:
    """Runs tracks through both paths.

    Args:
        backbone: SAM 2.
        config: K, candidates, what irrelevant frames may write.
        gate: SAM 2's hard gate by the object score, for memories and pointers.
    """

    def __init__(self, backbone: Backbone, config: ModelConfig, *, gate: bool):
        self.backbone = backbone
        self.config = config
        self.gate = gate
        self._most_read = max(config.memory_frames, backbone.max_pointers)

    def run(
        self,
        tracks: Sequence[Track],
        times: np.ndarray,
        fetch: Fetch,
        language: LanguagePath,
        emit: Emit,
        *,
        by_time: bool = False,
    ) -> None:
        """Guided frames first, in order of time; then all others.

        Args:
            tracks: with empty banks.
            times: (E, T) frame numbers of each sentence's clip.
            fetch: gives features of items.
            language: answers for the guided frames.
            emit: receives every (track, frame) exactly once.
            by_time: step through the frames of all tracks together, so that features are needed
                once, in order of time; else step through each track's own frames together,
                which makes larger batches. The results are equal.
        """
        rounds = _rounds_by_time(tracks) if by_time else _rounds_by_rank(tracks)
        for items in rounds:
            self.step(items, tracks, times, fetch, language, emit)
        for track in tracks:
            track.forget(times[track.expression], self._most_read, writing=False)
        for items in self._other_rounds(tracks, times, by_time=by_time):
            self.step(items, tracks, times, fetch, None, emit)

    def _other_rounds(
        self, tracks: Sequence[Track], times: np.ndarray, *, by_time: bool
    ) -> Iterator[list[Item]]:
        """All unguided items at once; one a track, near ones first, if they may be written."""
        if self.config.irrelevant_memory == "none":
            items = [
                Item(index, track.expression, position)
                for index, track in enumerate(tracks)
                for position in track.others
            ]
            items.sort(key=lambda item: (item.position, item.track))
            if not by_time:
                yield items
                return
            # A round's items are grouped by what they read, which undoes the order of time.
            blocks = groupby(items, key=lambda item: item.position // POSITIONS_PER_ROUND)
            yield from (list(block) for _, block in blocks)
            return
        orders = [_outwards(track, times[track.expression]) for track in tracks]
        for rank in range(max((len(order) for order in orders), default=0)):
            yield [
                Item(index, track.expression, order[rank])
                for index, (track, order) in enumerate(zip(tracks, orders, strict=True))
                if rank < len(order)
            ]

    def step(
        self,
        items: Sequence[Item],
        tracks: Sequence[Track],
        times: np.ndarray,
        fetch: Fetch,
        language: LanguagePath | None,
        emit: Emit,
    ) -> None:
        """Items that do not depend on each other, in batches that read equally much.

        Args:
            items: of any tracks, guided or not, all alike.
            tracks: that the items count; guided items are written to their banks.
            times: (E, T) frame numbers of the positions that the items name.
            fetch: gives features of items.
            language: answers for guided items; None for the others.
            emit: receives every item.
        """
        groups: dict[tuple[int, int], list[tuple[Item, MemoryRead]]] = {}
        for item in items:
            frame = int(times[item.expression, item.position])
            bank = tracks[item.track].bank
            read = read_nearest(bank, frame, self.config.memory_frames, self.backbone)
            groups.setdefault(read.shape, []).append((item, read))
        for group in groups.values():
            for start in range(0, len(group), ITEMS_PER_CALL):
                part = group[start : start + ITEMS_PER_CALL]
                self._call(part, tracks, times, fetch, language, emit)

    def _call(
        self,
        part: Sequence[tuple[Item, MemoryRead]],
        tracks: Sequence[Track],
        times: np.ndarray,
        fetch: Fetch,
        language: LanguagePath | None,
        emit: Emit,
    ) -> None:
        """One batch: answer, write if guided or confident, hand on."""
        items = [item for item, _ in part]
        features = fetch(items)
        side = (features.coarse.shape[-2], features.coarse.shape[-1])
        share = not self.backbone.training
        memory = collate([read for _, read in part], self.backbone, side, share=share)
        if language is not None:
            decoded = language.answer(items, features, memory)
            rows = list(range(len(items)))
        else:
            decoded = segment(self.backbone, features, memory, multimask=self.config.multimask)
            rows = self._confident_rows(items, tracks, decoded)
        if rows:
            self._write(rows, items, tracks, times, features, decoded, guided=language is not None)
        emit(items, decoded, language is not None)

    def _confident_rows(
        self, items: Sequence[Item], tracks: Sequence[Track], decoded: Decoded
    ) -> list[int]:
        """Rows of unguided items that may be remembered: never, unless the config says so."""
        if self.config.irrelevant_memory == "none":
            return []
        scores = decoded.object_score.detach().tolist()
        return [
            row
            for row, (item, score) in enumerate(zip(items, scores, strict=True))
            if score >= self.config.confident_score and len(tracks[item.track].bank)
        ]

    def _write(
        self,
        rows: Sequence[int],
        items: Sequence[Item],
        tracks: Sequence[Track],
        times: np.ndarray,
        features: FrameFeatures,
        decoded: Decoded,
        *,
        guided: bool,
    ) -> None:
        """Remember some rows of a batch in their tracks' banks."""
        index = torch.tensor(rows, device=features.coarse.device)
        memory = self.backbone.remember(
            features.coarse[index],
            decoded.mask_logits[index],
            decoded.object_score[index],
            gate=self.gate,
            binarise=False,
        )
        pointer = self.backbone.pointer(decoded, gate=self.gate)
        for place, row in enumerate(rows):
            item = items[row]
            frame = int(times[item.expression, item.position])
            track = tracks[item.track]
            track.bank.write(frame, memory[place], pointer[row])
            if guided and len(track.bank) % FORGET_EVERY == 0:
                track.forget(times[item.expression], self._most_read, writing=True)


def segment(
    backbone: Backbone,
    features: FrameFeatures,
    memory: MemoryTokens | None,
    *,
    multimask: bool,
    prompts: torch.Tensor | None = None,
) -> Decoded:
    """Memory attention and mask decoder: the language-agnostic path, and the core of the other.

    Args:
        backbone: SAM 2.
        features: of B frames.
        memory: what each item remembers, or nothing.
        multimask: three candidates instead of one.
        prompts: (B, 2, C) to add to the empty prompt's tokens.
    """
    if memory is None:
        coarse = backbone.without_memory(features.coarse)
    else:
        coarse = backbone.attend(
            features.coarse,
            features.position,
            memory.memory,
            memory.position,
            memory.pointer_tokens,
            owner=memory.owner,
        )
    sparse = None
    if prompts is not None:
        sparse = backbone.no_prompt(len(features)) + prompts.unsqueeze(1)  # (B, 1, 2, C)
    return backbone.decode(
        coarse, features.middle, features.fine, sparse=sparse, multimask=multimask
    )


def concat_decoded(parts: Sequence[Decoded]) -> Decoded:
    """The rows of all parts, one after another (pointers are not kept)."""
    return replace(
        parts[0],
        candidates=torch.cat([part.candidates for part in parts]),
        iou=torch.cat([part.iou for part in parts]),
        tokens=torch.cat([part.tokens for part in parts]),
        object_score=torch.cat([part.object_score for part in parts]),
        pointer=None,
    )


def _rounds_by_rank(tracks: Sequence[Track]) -> Iterator[list[Item]]:
    """The first guided frame of every track, then the second, ..."""
    for rank in range(max((len(track.guided) for track in tracks), default=0)):
        yield [
            Item(index, track.expression, track.guided[rank])
            for index, track in enumerate(tracks)
            if rank < len(track.guided)
        ]


def _rounds_by_time(tracks: Sequence[Track]) -> Iterator[list[Item]]:
    """Every position once, with all the tracks that it guides."""
    guided: dict[int, list[Item]] = {}
    for index, track in enumerate(tracks):
        for position in track.guided:
            guided.setdefault(position, []).append(Item(index, track.expression, position))
    for position in sorted(guided):
        yield guided[position]


def _outwards(track: Track, times: Iterable[int]) -> list[int]:
    """A track's unguided positions, those nearest to a guided frame first."""
    row = list(times)
    guided = [row[position] for position in track.guided]

    def distance(position: int) -> int:
        return min((abs(row[position] - frame) for frame in guided), default=0)

    return sorted(track.others, key=lambda position: (distance(position), position))
