"""Masks at the video's own size: enlarged, united over tracks, and handed to a writer."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.engine.batches import BatchSize
from stages.core.index.index import Expression, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.media.mask_bits import MaskBits, count_pixels
from stages.core.media.mask_png import deflate_runs
from stages.core.model import budgets
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path.tracks import Item, Track
from stages.core.model.masks import packed_masks
from stages.core.model.offload.host_copies import HostCopy, start_copy

COMING = 2
"""Batches of masks on their way to host memory while the network goes on."""


@dataclass
class PendingMask:
    """The mask of one frame of one sentence while results of its tracks are missing.

    Attributes:
        left: tracks whose result is missing.
        score: highest object score so far.
        mask: union so far at the video's size, packed and deflated; None while empty.
    """

    left: int
    score: float = -np.inf
    mask: bytes | None = None


class MaskAssembler:
    """Unites the masks of each sentence's tracks and writes them.

    Masks are enlarged, gated, counted and packed on the device of their logits.

    Args:
        video: to which the frames belong.
        expressions: the E sentences of the batch.
        tracks: of all sentences.
        writer: takes finished masks.
        gate: blank masks where the object score says that nothing is visible.

    Attributes:
        scores: (E, T) highest object score of the tracks; NaN where there is no track.
        areas: (E, T) pixels of the masks.

    Both are whole after :meth:`finish`.
    """

    def __init__(
        self,
        video: Video,
        expressions: Sequence[Expression],
        tracks: Sequence[Track],
        writer: MaskWriter,
        *,
        gate: bool,
    ):
        self._video = video
        self._expressions = expressions
        self._writer = writer
        self._gate = gate
        shape = (len(expressions), video.num_frames)
        self.scores = np.full(shape, np.nan, np.float32)
        self.areas = np.zeros(shape, np.int64)
        self._tracks_of = np.bincount(
            [track.expression for track in tracks], minlength=len(expressions)
        )
        self._pending: dict[tuple[int, int], PendingMask] = {}
        self._size: BatchSize | None = None  # known with the first batch's device
        self._coming: deque[tuple[Sequence[Item], HostCopy]] = deque()

    def add(self, items: Sequence[Item], decoded: Decoded) -> None:
        """Take the results of B items; the last ones are still on their way to host memory."""
        height, width = self._video.height, self._video.width
        scores, logits = decoded.object_score.float(), decoded.mask_logits
        shown = scores > 0 if self._gate else None

        def work(rows: Sequence[int]) -> HostCopy:
            own = slice(rows[0], rows[-1] + 1)
            gate = None if shown is None else shown[own]
            bits, areas = packed_masks(logits[own], height, width, shown=gate)
            return start_copy(bits, areas, scores[own])

        if self._size is None:
            together = budgets.enlarged_masks(height, width, logits.device)
            self._size = BatchSize(together)
        for rows, copy in self._size.run(range(len(items)), work):
            self._coming.append(([items[row] for row in rows], copy))
            if len(self._coming) > COMING:
                self._arrive()

    def finish(self) -> None:
        """Wait for the masks that are on their way, and hand them over."""
        while self._coming:
            self._arrive()

    def _arrive(self) -> None:
        """Take the oldest masks that are on their way to host memory."""
        items, copy = self._coming.popleft()
        bits, areas, scores = copy.wait()
        for item, own, area, score in zip(
            items, bits, areas.tolist(), scores.tolist(), strict=True
        ):
            self._take(item, own, area, score)

    def _take(self, item: Item, bits: MaskBits, area: int, score: float) -> None:
        """Add one frame of one track; write the mask when it is the last of its sentence."""
        row, frame = item.expression, item.frame
        several = self._tracks_of[row]
        if several > 1:
            pending = self._pending.setdefault((row, frame), PendingMask(int(several)))
            pending.left -= 1
            score = pending.score = max(pending.score, score)
            if pending.mask is not None:
                bits = bits | _inflate(pending.mask, bits.shape)
                area = count_pixels(bits)
            if pending.left:
                pending.mask = deflate_runs(bits) if area else None
                return
            del self._pending[row, frame]
        self.scores[row, frame] = score
        self.areas[row, frame] = area
        self._writer.write_bits(self._video, self._expressions[row], frame, bits)


def _inflate(packed: bytes, shape: tuple[int, ...]) -> MaskBits:
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)
