"""Features of a video's frames, each encoded once: on the device, in host memory, on disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.batches import BatchSize
from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Video
from stages.core.model import budgets
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.hidden_states import HiddenStates
from stages.core.model.offload.feature_store import FeatureStore, StoreLimits

FEW_FRAMES = 2
"""Frames that tracking asks for at one time; they are put together without an index."""

NO_STORE = StoreLimits()
"""Features beyond the budget are dropped, and encoded again when they are needed."""

Encode = Callable[[Tensor], FrameFeatures]
"""uint8 (n, 3, S, S) frames to features on the device."""


Ahead = list[Future[Tensor]] | Future[FrameFeatures | None]
"""A chunk's frames, or its features from the store, being read or ready."""


class FrameSource(Protocol):
    """Features of the frames of one video."""

    def __len__(self) -> int:
        """Number of frames of the video."""

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """Features of some frames, in the order asked for (repeats allowed)."""


@dataclass(frozen=True)
class FramesInMemory:
    """A ``FrameSource`` of features that are all there."""

    features: FrameFeatures

    def __len__(self) -> int:
        return len(self.features)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """Features of some frames, in the order asked for."""
        return self.features[_index(np.asarray(frames), self.features.coarse.device)]


class VideoFeatures:
    """Features by frame number, made chunk by chunk.

    A chunk always consists of the same frames, so a frame's features are the same to the bit
    however often they are computed.

    Args:
        video: to which the frames belong.
        encode: the frozen encoder.
        size: S.
        device: of the encoder.
        budget: bytes that features may take on the device.
        chunk: frames per chunk.
        decoders: threads that read and resize frames.
        store: where features beyond the budget are kept.
        hidden: the first part of the encoder's work for some of the frames; these are neither
            decoded nor given to the transformer.

    Attributes:
        budget: as given; :meth:`shrink` lowers it.
        encoded: frames encoded so far, repeats included.
        finished: frames that were encoded from their hidden states, repeats included.
    """

    def __init__(
        self,
        video: Video,
        encode: Encode,
        *,
        size: int,
        device: torch.device,
        budget: float,
        chunk: int,
        decoders: Executor,
        store: StoreLimits = NO_STORE,
        hidden: HiddenStates | None = None,
    ):
        self.video = video
        self.encoded = 0
        self.finished = 0
        self._encode = encode
        self._size = size
        self._device = device
        self.budget = budget
        self._chunk = chunk
        self._decoders = decoders
        self._hidden = hidden
        self._together = BatchSize(min(chunk, budgets.encoded_frames(size, device) or chunk))
        self._kept: OrderedDict[int, FrameFeatures] = OrderedDict()
        self._store = FeatureStore(store, decoders)
        self._ahead: dict[int, Ahead] = {}
        self._last = -1

    def __len__(self) -> int:
        return self.video.num_frames

    @property
    def resident(self) -> bool:
        """All frames' features fit the budget together (known after the first chunk)."""
        first = self._get(0)
        return first.nbytes / len(first) * len(self) <= self.budget

    @property
    def nbytes(self) -> int:
        """Bytes of the features that are in memory now."""
        return sum(features.nbytes for features in self._kept.values())

    @property
    def complete(self) -> bool:
        """All frames' features are in memory now."""
        return sum(map(len, self._kept.values())) == len(self)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """Features of some frames, in the order asked for (repeats allowed).

        Raises:
            MissingInput, CorruptInput: a frame's file is missing or cannot be used.
        """
        if len(frames) <= FEW_FRAMES:
            return FrameFeatures.cat([self._one(int(frame)) for frame in frames])
        numbers = np.asarray(frames)
        chunks, inverse = np.unique(numbers // self._chunk, return_inverse=True)
        if len(chunks) == 1:
            return self._get(int(chunks[0]))[_index(numbers % self._chunk, self._device)]
        parts, place = [], np.empty(len(numbers), np.int64)
        start = 0
        for order, chunk in enumerate(chunks):
            own = inverse == order
            within = numbers[own] % self._chunk
            parts.append(self._get(int(chunk))[_index(within, self._device)])
            place[own] = start + np.arange(len(within))
            start += len(within)
        joined = FrameFeatures.cat(parts)
        if np.array_equal(place, np.arange(len(place))):
            return joined
        return joined[_index(place, self._device)]

    def _one(self, frame: int) -> FrameFeatures:
        """Features of one frame, a view of its chunk's."""
        place = frame % self._chunk
        return self._get(frame // self._chunk)[place : place + 1]

    def close(self) -> None:
        """Drop all features and cancel pending decoding."""
        for ahead in self._ahead.values():
            _cancel(ahead)
        self._ahead.clear()
        self._kept.clear()
        self._store.close()

    def shrink(self) -> bool:
        """Free memory of the device for other things; returns whether there was any to free."""
        before = self.nbytes
        self.budget = min(self.budget, before) / 2
        self._evict()
        return self.nbytes < before

    def _get(self, chunk: int) -> FrameFeatures:
        found = self._kept.get(chunk)
        if found is not None:
            self._kept.move_to_end(chunk)
            return found
        stored, parts = self._arrived(chunk)
        following = self._following(chunk)
        for step in range(budgets.CHUNKS_ONWARD):
            self._prefetch(following + step * (following - chunk))
        self._last = chunk
        found = self._encode_parts(parts) if stored is None else stored.to(self._device)
        self._kept[chunk] = found
        self._evict()
        return found

    def _encode_parts(self, parts: Sequence[Tensor]) -> FrameFeatures:
        """Features of frames, given as :meth:`_decode` gives them."""
        raw = [row for row, part in enumerate(parts) if part.dtype == torch.uint8]
        self.encoded += len(raw)
        self.finished += len(parts) - len(raw)
        if self._hidden is None or len(raw) == len(parts):

            def encode(frames: Sequence[Tensor]) -> FrameFeatures:
                return self._encode(torch.stack(list(frames)).to(self._device))

            return FrameFeatures.cat([own for _, own in self._together.run(parts, encode)])
        states = [part.to(self._device) for part in parts]  # (h * h, D) where it is known
        if raw:
            encoder = self._hidden.encoder
            frames = torch.stack([states[row] for row in raw])
            for row, state in zip(raw, encoder.hidden_states(frames), strict=True):
                states[row] = state
        # Of two types, the wider one holds both exactly.
        wide = max((state.dtype for state in states), key=lambda kind: kind.itemsize)
        return self._hidden.encoder.encode_from(torch.stack([state.to(wide) for state in states]))

    def _arrived(self, chunk: int) -> tuple[FrameFeatures | None, list[Tensor]]:
        """What was kept of a chunk in the store, else its frames as :meth:`_decode` gives them."""
        ahead = self._ahead.pop(chunk, None) or self._begin(chunk)
        if isinstance(ahead, Future):
            stored = ahead.result()
            if stored is not None:
                return stored, []
            ahead = self._decode(chunk)
        return None, [future.result() for future in ahead]

    def _begin(self, chunk: int) -> Ahead:
        """Begin to read a chunk from the store, or to decode its frames."""
        return self._store.fetch(chunk) or self._decode(chunk)

    def _decode(self, chunk: int) -> list[Future[Tensor]]:
        """The chunk's frames, being read or ready: hidden states or uint8 (3, S, S)."""
        first = chunk * self._chunk
        return [self._read(f) for f in range(first, min(first + self._chunk, len(self)))]

    def _read(self, frame: int) -> Future[Tensor]:
        if self._hidden is not None and frame in self._hidden.files:
            return self._decoders.submit(self._hidden.read, frame)
        return self._decoders.submit(read_resized, self.video, frame, self._size)

    def _following(self, chunk: int) -> int:
        """The chunk that may come after one: tracking reads from two places of a video in turn."""
        from_before, from_behind = chunk - 1 in self._kept, chunk + 1 in self._kept
        if from_before != from_behind:
            return chunk + 1 if from_before else chunk - 1
        return chunk - 1 if chunk < self._last else chunk + 1

    def _prefetch(self, chunk: int) -> None:
        """Read a chunk that may come soon while another one is encoded; drop old guesses."""
        while len(self._ahead) >= budgets.CHUNKS_AHEAD:
            _cancel(self._ahead.pop(next(iter(self._ahead))))
        if 0 <= chunk * self._chunk < len(self) and not {chunk} & {*self._kept, *self._ahead}:
            self._ahead[chunk] = self._begin(chunk)

    def _evict(self) -> None:
        """Hand chunks to the store until the budget holds.

        Videos are read from end to end several times. So of the chunks that are not needed next,
        those used last go first: the others are found again on the way back to them.
        """
        total = self.nbytes
        while total > self.budget and len(self._kept) > budgets.FEWEST_CHUNKS:
            in_order = list(self._kept)
            gone = in_order[max(0, len(in_order) - 1 - budgets.RECENT_CHUNKS)]
            features = self._kept.pop(gone)
            total -= features.nbytes
            self._store.put(gone, features)


def read_resized(video: Video, frame: int, size: int) -> Tensor:
    """Read one frame as uint8 (3, S, S), resized at once so that large frames never gather.

    Raises:
        MissingInput, CorruptInput: see ``read_video_frame``.
    """
    pixels = read_video_frame(video, frame)
    return resize_frames(np.ascontiguousarray(pixels)[None], size)[0]


def _cancel(ahead: Ahead) -> None:
    for future in [ahead] if isinstance(ahead, Future) else ahead:
        future.cancel()


def _index(numbers: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, np.int64)).to(device)
