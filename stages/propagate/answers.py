"""From the decoder's answers to masks at the video's own size, files and rows."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from schemas.layouts import mask_path
from stages.core.index.index import Expression, Video
from stages.core.media.mask_png import encode_mask
from stages.core.model.backbones.backbone import Decoded
from stages.core.model.segmenter import Item, Track

PENDING_BYTES = 32_000_000
"""Masks that may wait for a writing thread; more would only fill the memory."""
RESIZED_BYTES = 64_000_000
"""Memory for the masks of one batch while they are enlarged."""
FLOAT_BYTES = 4


class MaskWriter:
    """Writes the PNGs of a video with threads; a failed write is raised by a later call.

    Args:
        root: of the artifact.
        threads: that encode and write.
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
        while self._waiting_bytes > PENDING_BYTES:
            self._wait_for_oldest()

    def wait(self) -> None:
        """Until all queued masks are on disk."""
        while self._waiting:
            self._wait_for_oldest()

    def _wait_for_oldest(self) -> None:
        future, size = self._waiting.popleft()
        self._waiting_bytes -= size
        future.result()

    def take_files(self, expression: Expression) -> list[Path]:
        """The files of a sentence that is done; the writer forgets them."""
        return self._files.pop(expression.expression_id, [])


def _write(path: Path, mask: np.ndarray) -> None:
    # The file may be a link into the artifact that is there: it must not be written through.
    path.unlink(missing_ok=True)
    path.write_bytes(encode_mask(mask))


@dataclass
class Cell:
    """What is known of one frame of one sentence while its tracks answer.

    Attributes:
        left: tracks that have not answered.
        score: highest object score so far.
        mask: union so far at the video's size, packed and deflated; None while empty.
    """

    left: int
    score: float = -np.inf
    mask: bytes | None = None


class Answers:
    """Receives the answers of tracks (an ``Emit``), unites those of a sentence, writes masks.

    Args:
        video: whose frames.
        expressions: the E sentences of the batch.
        tracks: all of them.
        writer: takes finished masks.
        gate: blank masks where the object score says that nothing is visible.
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
        self.scores = np.full(shape, -np.inf, np.float32)
        self.areas = np.zeros(shape, np.int64)
        self._tracks_of = np.bincount(
            [track.expression for track in tracks], minlength=len(expressions)
        )
        self._cells: dict[tuple[int, int], Cell] = {}

    def add(self, items: Sequence[Item], decoded: Decoded, guided: bool) -> None:
        """See ``Emit``."""
        scores = decoded.object_score.float().cpu().numpy()
        height, width = self._video.height, self._video.width
        step = max(1, RESIZED_BYTES // (height * width * FLOAT_BYTES))
        for start in range(0, len(items), step):
            logits = decoded.mask_logits[start : start + step]
            masks = enlarge(logits, height, width).cpu().numpy()
            for place, mask in enumerate(masks, start):
                score = float(scores[place])
                shown = mask if score > 0 or not self._gate else np.zeros_like(mask)
                self._take(items[place], shown, score)

    def _take(self, item: Item, mask: np.ndarray, score: float) -> None:
        """One answer of one track."""
        row, frame = item.expression, item.position
        several = self._tracks_of[row]
        if several > 1:
            cell = self._cells.setdefault((row, frame), Cell(int(several)))
            cell.left -= 1
            score = cell.score = max(cell.score, score)
            if cell.mask is not None:
                mask = mask | _unpack(cell.mask, mask.shape)
            if cell.left:
                cell.mask = _pack(mask) if mask.any() else None
                return
            del self._cells[row, frame]
        self.scores[row, frame] = score
        self.areas[row, frame] = int(mask.sum())
        self._writer.write(self._video, self._expressions[row], frame, mask)


def enlarge(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, s, s) mask logits to bool masks (B, H, W) of the video's size."""
    large = F.interpolate(
        logits.float().unsqueeze(1), size=(height, width), mode="bilinear", align_corners=False
    )
    return large[:, 0] > 0


def _pack(mask: np.ndarray) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _unpack(packed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    return np.unpackbits(bits, count=shape[0] * shape[1]).view(bool).reshape(shape)
