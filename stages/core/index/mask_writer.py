"""Writing the masks of predictions as files, with threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.layouts import mask_path
from stages.core.index.index import Expression, Video
from stages.core.media.mask_bits import MaskBits, pack_mask
from stages.core.media.mask_png import encode_bits

WRITERS = 4
"""Threads that encode and write: a GPU makes masks faster than one thread writes them."""
PENDING_BYTES = 32_000_000
"""Packed masks that may wait for a writing thread."""


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
        self._files: dict[str, dict[Path, None]] = {}
        self._tables: dict[tuple[str, str], pa.Table] = {}

    def write(self, video: Video, expression: Expression, frame: int, mask: np.ndarray) -> None:
        """Queue one mask, (H, W) bool."""
        self.write_bits(video, expression, frame, pack_mask(mask))

    def write_bits(self, video: Video, expression: Expression, frame: int, bits: MaskBits) -> None:
        """Queue one packed mask, which must not change any more."""
        path = mask_path(
            self._root, video.video_id, expression.expression_id, video.frame_names[frame]
        )
        if expression.expression_id not in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._files.setdefault(expression.expression_id, {})[path] = None
        self._waiting.append((self._threads.submit(_write, path, bits, video.width), bits.nbytes))
        self._waiting_bytes += bits.nbytes
        while self._waiting_bytes > PENDING_BYTES:
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
        return list(self._files.pop(expression.expression_id, ()))

    def keep_rows(self, expression: Expression, table: str, rows: pa.Table) -> None:
        """Keep a sentence's rows of a further table until it is finished."""
        self._tables[expression.expression_id, table] = rows

    def take_rows(self, expression: Expression, table: str) -> pa.Table | None:
        """Hand over the rows of a finished sentence; None if it has none."""
        return self._tables.pop((expression.expression_id, table), None)


def _write(path: Path, bits: MaskBits, width: int) -> None:
    content = encode_bits(bits, width)
    # The file may be a hard link into the present artifact: it must not be written through.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
