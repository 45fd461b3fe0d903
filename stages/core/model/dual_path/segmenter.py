"""Dual-path propagation: guided frames write memory banks, the other frames only read them.

Paper, section on moment-guided dual-path propagation. A track is one sentence with one memory
bank: all of its relevant frames, or one contiguous moment of them. Many tracks run as one batch;
the masks of a track do not depend on the others.

The masks of guided frames come from a ``LanguagePath``, whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from stages.core.engine.batches import BatchSize
from stages.core.model import budgets
from stages.core.model.backbones.backbone import MASK_TO_COARSE, Backbone
from stages.core.model.backbones.features import FrameFeatures, ItemFeatures, RepeatedFeatures
from stages.core.model.backbones.memory import MemoryRead, collate, collate_shared, read_nearest
from stages.core.model.backbones.records import Decoded, MemoryTokens
from stages.core.model.config import SegmenterConfig
from stages.core.model.dual_path.tracks import ClipTrack, Item, guided_rounds, other_rounds

Fetch = Callable[[Sequence[Item]], FrameFeatures]
"""Features of B items, one frame each."""
ItemRead = tuple[Item, MemoryRead]
"""An item and the memories that it reads."""
Written = tuple[Item, Tensor, Tensor]
"""An item with the memory (N, Cm) and the pointer (C,) that it writes."""
Results = Iterator[tuple[list[Item], Decoded]]
"""B items at a time with their masks."""


class LanguagePath(Protocol):
    """Frames and sentences in, a mask and a score per frame out."""

    def segment(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """Masks of B guided items.

        Args:
            items: sentences and frames.
            features: (B frames) of the frozen encoder.
            memory: memories of their tracks; None at the first frame of a track.
        """


class Segmenter:
    """Runs tracks through both paths.

    Args:
        backbone: on its device; in training mode no memories are shared.
        config: K, candidates, the gate, and which irrelevant frames are written.
        visible: (E, T) bool, the truth by which written frames are gated; default: as configured.
        one_video: items with equal frame numbers show one frame, whatever their sentence; then
            what depends on the frame alone is computed once for the unguided ones.
    """

    def __init__(
        self,
        backbone: Backbone,
        config: SegmenterConfig,
        visible: Tensor | None = None,
        *,
        one_video: bool = False,
    ):
        self._backbone = backbone
        self._one_video = one_video
        self._config = config
        self._visible = visible
        # A training step must fail as a whole.
        self._size = BatchSize(budgets.ITEMS_PER_BATCH, enabled=not backbone.training)
        self._gate = visible is not None or config.gates(training=backbone.training)
        self.most_read = max(config.memory_frames, backbone.max_pointers)

    @property
    def writes_others(self) -> bool:
        """Unguided frames may be written too."""
        return self._config.irrelevant_memory != "none"

    def run(
        self,
        tracks: Sequence[ClipTrack],
        fetch: Fetch,
        language: LanguagePath,
        *,
        by_time: bool = False,
    ) -> Results:
        """Segment whole clips: guided frames in order of time, then all others.

        Args:
            tracks: with empty banks.
            fetch: gives features of items.
            language: segments the guided frames.
            by_time: step through the frames of all tracks together, so that features are needed
                once, in order of time; else step through each track's own frames together,
                which makes larger batches. The results are equal.

        Yields:
            Every (track, frame) exactly once.
        """
        for items in guided_rounds(tracks, by_time=by_time):
            yield from self.guide(items, fetch, language)
        for track in tracks:
            track.drop_unread(self.most_read)
        rounds = other_rounds(tracks, by_time=by_time, written=self.writes_others)
        for number, items in enumerate(rounds, start=1):
            yield from self.propagate(items, fetch)
            if self.writes_others and number % budgets.WRITES_PER_CLEANUP == 0:
                for track in tracks:
                    track.drop_unread(self.most_read, done=number)

    def guide(self, items: Sequence[Item], fetch: Fetch, language: LanguagePath) -> Results:
        """Take the language path with items that do not depend on each other, and write them.

        Args:
            items: of several tracks, one each.
            fetch: gives features of items.
            language: segments them.
        """

        def work(pairs: Sequence[ItemRead]) -> tuple[Decoded, list[Written]]:
            batch, reads = _unzipped(pairs)
            features = fetch(batch)
            decoded = language.segment(batch, features, self._memory(reads, features))
            return decoded, self._remembered(list(range(len(batch))), batch, features, decoded)

        for batch, decoded in self._run(items, work):
            for item in batch:
                if len(item.track.bank) % budgets.WRITES_PER_CLEANUP == 0:
                    item.track.drop_unread(self.most_read)
            yield batch, decoded

    def propagate(self, items: Sequence[Item], fetch: Fetch) -> Results:
        """Take the language-agnostic path with items that do not depend on each other.

        Args:
            items: of any tracks.
            fetch: gives features of items.
        """

        def work(pairs: Sequence[ItemRead]) -> tuple[Decoded, list[Written]]:
            batch, reads = _unzipped(pairs)
            features = _fetch_once(batch, fetch) if self._one_video else fetch(batch)
            memory = self._memory(reads, features)
            decoded = self._backbone.segment(features, memory, multimask=self._config.multimask)
            rows = self._written_rows(batch, decoded)
            return decoded, self._remembered(rows, batch, features, decoded) if rows else []

        yield from self._run(items, work)

    def _run(
        self,
        items: Sequence[Item],
        work: Callable[[Sequence[ItemRead]], tuple[Decoded, list[Written]]],
    ) -> Results:
        """Do work on items that read equally many memories; then write what it remembers.

        Nothing is written to a bank before its batch is computed, so work can be repeated.
        """
        for group in self._groups(items):
            most = self._most_of(group[0][1])
            for pairs, (decoded, written) in self._size.run(group, work, most=most):
                for item, memory, pointer in written:
                    item.track.bank.write(item.frame, memory, pointer)
                yield [item for item, _ in pairs], decoded

    def _most_of(self, read: MemoryRead) -> int | None:
        """Most items of a batch by the bytes that each takes on a GPU; None on a CPU."""
        backbone = self._backbone
        limit = budgets.share_of_gpu(next(backbone.parameters()).device, budgets.BATCH_SHARE)
        if limit is None:
            return None
        memories, _ = read.shape
        each = budgets.item_bytes(
            tokens=(backbone.mask_size // MASK_TO_COARSE) ** 2,
            memories=memories,
            channels=backbone.channels,
            memory_channels=backbone.memory_channels,
        )
        return max(1, limit // each)

    def _groups(self, items: Sequence[Item]) -> list[list[ItemRead]]:
        """Items and what they read, those that read equally many memories together."""
        groups: dict[tuple[int, int], list[ItemRead]] = {}
        for item, read in zip(items, self._reads(items), strict=True):
            groups.setdefault(read.shape, []).append((item, read))
        return list(groups.values())

    def _reads(self, items: Sequence[Item]) -> Iterator[MemoryRead]:
        """What each item reads; all frames before a bank's first one read the same, as do those
        after its last one.
        """
        ends = {id(item.track.bank): item.track.bank.ends for item in items}
        known: dict[tuple[int, bool], MemoryRead] = {}
        for item in items:
            bank = item.track.bank
            first, last = ends[id(bank)]
            side, inside = (id(bank), item.frame < first), first <= item.frame <= last
            if inside or side not in known:
                read = read_nearest(bank, item.frame, self._config.memory_frames, self._backbone)
                if not inside:
                    known[side] = read
            yield read if inside else known[side]

    def _memory(self, reads: Sequence[MemoryRead], features: ItemFeatures) -> MemoryTokens | None:
        coarse = features.frames.coarse
        side = (coarse.shape[-2], coarse.shape[-1])
        stack = collate if self._backbone.training else collate_shared
        return stack(reads, self._backbone, side)

    def _written_rows(self, items: Sequence[Item], decoded: Decoded) -> list[int]:
        """Rows of unguided items that are written; none before a track's first memory."""
        if not self.writes_others:
            return []
        least = -math.inf
        if self._config.irrelevant_memory == "confident":
            least = self._config.confident_score
        scores = decoded.object_score.detach().tolist()
        return [
            row
            for row, (item, score) in enumerate(zip(items, scores, strict=True))
            if score >= least and len(item.track.bank)
        ]

    def _remembered(
        self,
        rows: Sequence[int],
        items: Sequence[Item],
        features: ItemFeatures,
        decoded: Decoded,
    ) -> list[Written]:
        """What some rows of a batch write to their tracks' banks."""
        decoded = self._scored_by_truth(items, decoded)
        coarse, shown = features.frames.coarse, features.rows
        index = torch.tensor(rows, device=coarse.device)
        memory = self._backbone.remember(
            coarse[index if shown is None else shown[index]],
            decoded.mask_logits[index],
            decoded.object_score[index],
            gate=self._gate,
            binarise=False,
        )
        pointer = self._backbone.pointer(decoded, gate=self._gate)
        return [(items[row], memory[place], pointer[row]) for place, row in enumerate(rows)]

    def _scored_by_truth(self, items: Sequence[Item], decoded: Decoded) -> Decoded:
        """The result of B items with the truth, if it is known, in place of the object scores."""
        if self._visible is None:
            return decoded
        rows = [item.expression for item in items]
        truth = self._visible[rows, [item.position for item in items]]  # (B,)
        score = truth.to(decoded.object_score.dtype) * 2 - 1
        return replace(decoded, object_score=score)


def _fetch_once(items: Sequence[Item], fetch: Fetch) -> ItemFeatures:
    """Features of B items, of which those with equal frame numbers show one frame."""
    first = {item.frame: item for item in items}
    if len(first) == len(items):
        return fetch(items)
    frames = fetch(list(first.values()))
    place = {frame: row for row, frame in enumerate(first)}
    rows = torch.tensor([place[item.frame] for item in items], device=frames.coarse.device)
    return RepeatedFeatures(frames, rows)


def _unzipped(pairs: Sequence[ItemRead]) -> tuple[list[Item], list[MemoryRead]]:
    return [item for item, _ in pairs], [read for _, read in pairs]
