"""Features of the frames of a batch: encoded when needed, or cached on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.core.index.index import Index, Video
from stages.core.model.backbones.features import FrameFeatures
from stages.train.data.pixels import read_pixels
from stages.train.data.stored_rows import DiskBudget, StoredRows
from stages.train.data.windows import Window
from stages.train.loading.batch import LoadedClips

Encode = Callable[[Tensor], FrameFeatures]
"""From frames, uint8 (T, 3, S, S), to features of T frames, without gradient."""

CHUNK_FRAMES = 8
_CHUNKS_AHEAD = 4
"""Chunks that are decoded ahead of the encoder."""


class ClipFeatures:
    """Features of training clips and windows.

    Args:
        encode: the frozen encoder.
        device: of the encoder.
        caches: one per index; none for features that are encoded whenever they are needed.
    """

    def __init__(self, encode: Encode, device: torch.device, caches: Sequence[CachedFeatures] = ()):
        self._encode = encode
        self._device = device
        self._caches = tuple(caches)

    def of_batch(self, clips: LoadedClips) -> FrameFeatures:
        """Features of the B * T frames of all clips, clip after clip.

        Args:
            clips: on the device; those without pixels are cached.
        """
        if len(clips.with_pixels) == len(clips):
            assert clips.pixels is not None
            return self._encode(clips.pixels)
        parts: dict[int, FrameFeatures] = {}
        if clips.pixels is not None:
            encoded = self._encode(clips.pixels)
            parts |= dict(
                zip(clips.with_pixels, _split(encoded, len(clips.with_pixels)), strict=True)
            )
        stored = (
            {}
            if clips.rows is None
            else dict(zip(clips.with_rows, clips.rows.chunk(len(clips.with_rows)), strict=True))
        )
        for number in range(len(clips)):
            if number in parts:
                continue
            cache = self._caches[clips.clip(number).member]
            if number in stored:
                parts[number] = cache.unpack(stored[number])
            else:
                video = clips.clip(number).video_id
                parts[number] = cache.of_clip(video, clips.frames[number], clips.flipped[number])
        return FrameFeatures.cat([parts[number] for number in range(len(clips))])

    def of_window(self, window: Window) -> FrameFeatures:
        """Features of the n frames of a window, a few frames at a time."""
        if window.pixels is not None:
            chunks = window.pixels.split(CHUNK_FRAMES)
            return FrameFeatures.cat([self._encode(chunk.to(self._device)) for chunk in chunks])
        cache = self._caches[window.member]
        if window.rows is not None:
            return cache.unpack(window.rows)
        return cache.of_clip(window.video_id, window.frames, flipped=False)


class CachedFeatures:
    """Features of an index's videos on disk, as float16, as far as they fit a budget.

    A video is cached as a whole or not at all. A cached one is encoded when it is first needed,
    always in the same chunks of frames, so that its numbers do not depend on the clip that needs it
    first: a resumed run reads the same ones. Of the other videos, nothing but the frames of a clip
    is encoded.

    Args:
        folder: of the files; processes may share it.
        index: of the videos.
        encode: the frozen encoder.
        size: S.
        device: of the encoder.
        budget: shared by all caches of a run.
        mirrored: whether clips may be mirrored.
        decoders: threads that read the frames of a video that is encoded.
    """

    def __init__(
        self,
        folder: Path,
        index: Index,
        encode: Encode,
        size: int,
        device: torch.device,
        budget: DiskBudget,
        *,
        mirrored: bool,
        decoders: int = 1,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._index = index
        self._encode = encode
        self._size = size
        self._device = device
        self._decoders = ThreadPoolExecutor(decoders, "decode")
        blank = encode(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=device))
        self._position = blank.position
        self._shapes = [level.shape[1:] for level in (blank.fine, blank.middle, blank.coarse)]
        row = sum(shape.numel() for shape in self._shapes)
        self.rows = StoredRows.plan(folder, row, index.videos.values(), budget, mirrored=mirrored)
        self._full = False

    def of_video(self, video: Video, frames: np.ndarray) -> FrameFeatures:
        """Features of T frames of a video that is to be cached, without augmentation."""
        return self.of_clip(video.video_id, frames, flipped=False)

    def of_clip(self, video_id: str, frames: np.ndarray, flipped: bool) -> FrameFeatures:
        """Features of T frames of a video that is to be cached; the first call encodes it."""
        video = self._index.videos[video_id]
        rows = self.rows.read(video, frames, flipped)
        if rows is None and not self._full:
            everything = range(-(-video.num_frames // CHUNK_FRAMES))
            parts = (part for _, part in self._encoded(video, everything, flipped))
            self._full = not self.rows.write(video, flipped, parts)
            rows = self.rows.read(video, frames, flipped)
        if rows is None:
            rows = torch.from_numpy(self._without_disk(video, frames, flipped))
        return self.unpack(rows)

    def unpack(self, rows: Tensor) -> FrameFeatures:
        """Features from float16 (T, row)."""
        flat = rows.to(self._device).float()
        sizes = [shape.numel() for shape in self._shapes]
        fine, middle, coarse = (
            part.view(len(rows), *shape)
            for part, shape in zip(flat.split(sizes, dim=1), self._shapes, strict=True)
        )
        return FrameFeatures(fine, middle, coarse, self._position)

    def _without_disk(self, video: Video, frames: np.ndarray, flipped: bool) -> np.ndarray:
        """The rows that would be read if the disk were not full, float16 (T, row)."""
        rows = np.empty((len(frames), self.rows.row), np.float16)
        for chunk, part in self._encoded(video, np.unique(frames // CHUNK_FRAMES), flipped):
            chosen = np.flatnonzero(frames // CHUNK_FRAMES == chunk)
            rows[chosen] = part[frames[chosen] - chunk * CHUNK_FRAMES]
        return rows

    def _encoded(
        self, video: Video, chunks: Iterable[int], flipped: bool
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Some chunks of a video, each with its number, float16 (n, row)."""

        def read(chunk: int) -> tuple[int, Tensor]:
            first = int(chunk) * CHUNK_FRAMES
            frames = np.arange(first, min(first + CHUNK_FRAMES, video.num_frames))
            return int(chunk), read_pixels(video, frames, self._size)

        for chunk, pixels in _ahead(self._decoders, read, chunks, _CHUNKS_AHEAD):
            shown = pixels.flip(-1) if flipped else pixels
            yield chunk, self._pack(self._encode(shown.to(self._device)))

    def _pack(self, features: FrameFeatures) -> np.ndarray:
        levels = (features.fine, features.middle, features.coarse)
        flat = torch.cat([level.flatten(1) for level in levels], dim=1)  # (n, row)
        return flat.to(torch.float16).cpu().numpy()


def _split(features: FrameFeatures, parts: int) -> list[FrameFeatures]:
    """Equal parts of features."""
    size = len(features) // parts
    return [features[number * size : (number + 1) * size] for number in range(parts)]


def _ahead(
    executor: Executor,
    function: Callable[[int], tuple[int, Tensor]],
    jobs: Iterable[int],
    limit: int,
) -> Iterator[tuple[int, Tensor]]:
    """Results in the order of the jobs, of which at most `limit` are begun ahead."""
    waiting: deque[Future[tuple[int, Tensor]]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(function, job))
            if len(waiting) > limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
