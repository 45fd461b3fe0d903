"""Masks at the video's own size: enlarged, united over tracks, and handed to a writer."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.index.index import Expression, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.model import budgets
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path.tracks import Item, Track
from stages.core.model.masks import enlarge_masks


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

    Args:
        video: to which the frames belong.
        expressions: the E sentences of the batch.
        tracks: of all sentences.
        writer: takes finished masks.
        gate: blank masks where the object score says that nothing is visible.

    Attributes:
        scores: (E, T) highest object score of the tracks; NaN where there is no track.
        areas: (E, T) pixels of the masks.
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

    def add(self, items: Sequence[Item], decoded: Decoded) -> None:
        """Take the results of B items."""
        scores = decoded.object_score.float().cpu().numpy()
        height, width = self._video.height, self._video.width
        step = max(1, budgets.RESIZED_BYTES // (height * width * budgets.FLOAT_BYTES))
        for start in range(0, len(items), step):
            logits = decoded.mask_logits[start : start + step]
            masks = enlarge_masks(logits, height, width).cpu().numpy()
            for place, mask in enumerate(masks, start):
                score = float(scores[place])
                gated = mask if score > 0 or not self._gate else np.zeros_like(mask)
                self._take(items[place], gated, score)

    def _take(self, item: Item, mask: np.ndarray, score: float) -> None:
        """Add one frame of one track; write the mask when it is the last of its sentence."""
        row, frame = item.expression, item.frame
        several = self._tracks_of[row]
        if several > 1:
            pending = self._pending.setdefault((row, frame), PendingMask(int(several)))
            pending.left -= 1
            score = pending.score = max(pending.score, score)
            if pending.mask is not None:
                mask = mask | _unpack(pending.mask, mask.shape)
            if pending.left:
                pending.mask = _pack(mask) if mask.any() else None
                return
            del self._pending[row, frame]
        self.scores[row, frame] = score
        self.areas[row, frame] = int(mask.sum())
        self._writer.write(self._video, self._expressions[row], frame, mask)


def _pack(mask: np.ndarray) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _unpack(packed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    return np.unpackbits(bits, count=shape[0] * shape[1]).view(bool).reshape(shape)
