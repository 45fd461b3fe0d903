"""Masks at the video's own size: enlarged, united over tracks, and written as files."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.layouts import mask_path
from stages.core.index.index import Expression, Video
from stages.core.media.mask_png import encode_mask
from stages.core.model import budgets
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path.tracks import Item, Track
from stages.core.model.masks import enlarge_masks


class MaskWriter:
    """Writes the PNGs of a video with threads; a failed write is raised by a later call.

    Args:
        root: folder of the artifact.
        threads: encode and write.
    """

    def __init__(self, root: Path, threads: Executor):
        self._root = root
        self._threads = threads
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._waiting_bytes = 0
        self._files: dict[str, list[Path]] = {}

    def write(self, video: Video, expression: Expression, frame: int, mask: np.ndarray) -> None:
        """Queue one mask, (H, W) bool."""
        path = mask_path(
            self._root, video.video_id, expression.expression_id, video.frame_names[frame]
        )
        if expression.expression_id not in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._files.setdefault(expression.expression_id, []).append(path)
        self._waiting.append((self._threads.submit(_write, path, mask), mask.nbytes))
        self._waiting_bytes += mask.nbytes
        while self._waiting_bytes > budgets.PENDING_BYTES:
            self._wait_for_oldest()

    def wait(self) -> None:
        """Wait until all queued masks are on disk."""
        while self._waiting:
            self._wait_for_oldest()

    def _wait_for_oldest(self) -> None:
        future, size = self._waiting.popleft()
        self._waiting_bytes -= size
        future.result()

    def take_files(self, expression: Expression) -> list[Path]:
        """Hand over the files of a finished sentence."""
        return self._files.pop(expression.expression_id, [])


def _write(path: Path, mask: np.ndarray) -> None:
    # The file may be a hard link into the present artifact: it must not be written through.
    path.unlink(missing_ok=True)
    path.write_bytes(encode_mask(mask))


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
