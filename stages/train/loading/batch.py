"""Batches of clips as worker processes hand them over: a few large tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from stages.core.model.text import TextBatch
from stages.train.data.dataset import Sample, SentenceName


@dataclass(frozen=True)
class LoadedClips:
    """B clips of T frames, with N sentences each: E = B * N sentences, clip after clip.

    Attributes:
        names: E names, for messages and to find features.
        times: int64 (E, T) ascending times of the frames.
        frames: int64 (B, T) positions in the video.
        flipped: B values, whether the clip is mirrored.
        pixels: uint8 (P * T, 3, S, S) of the clips that are in `with_pixels`; None if none is.
        rows: float16 (R * T, row) cached features of those in `with_rows`; None if none is.
        with_pixels: numbers of P clips, ascending.
        with_rows: numbers of R clips, ascending. Clips with neither have features to be cached.
        text: E sentences.
        guided: bool (E, T), frames of the language path.
        relevant: bool (E, T), labels of the relevance loss.
        targets: uint8 (E, T, s, s), see ``Sample.targets``.
        weight: float (E, T) of each frame in the relevance loss.
        hidden: bool (E, T, 6), neighbours that the adapter does not see.
    """

    names: tuple[SentenceName, ...]
    times: Tensor
    frames: np.ndarray
    flipped: tuple[bool, ...]
    pixels: Tensor | None
    rows: Tensor | None
    with_pixels: tuple[int, ...]
    with_rows: tuple[int, ...]
    text: TextBatch
    guided: Tensor
    relevant: Tensor
    targets: Tensor
    weight: Tensor
    hidden: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.frames)

    @property
    def sentences(self) -> int:
        """N."""
        return len(self.names) // len(self.frames)

    def clip(self, number: int) -> SentenceName:
        """The name of a clip, by its first sentence."""
        return self.names[number * self.sentences]

    @staticmethod
    def of(clips: Sequence[Sequence[Sample]]) -> LoadedClips:
        """Stack clips with equally many frames and sentences.

        Args:
            clips: the sentences of each; the first has the frames.
        """
        samples = [sample for clip in clips for sample in clip]
        firsts = [clip[0] for clip in clips]
        pixels = {n: first.pixels for n, first in enumerate(firsts) if first.pixels is not None}
        rows = {n: first.rows for n, first in enumerate(firsts) if first.rows is not None}
        return LoadedClips(
            names=tuple(sample.name for sample in samples),
            times=torch.stack([torch.from_numpy(sample.times) for sample in samples]),
            frames=np.stack([first.frames for first in firsts]),
            flipped=tuple(first.flipped for first in firsts),
            pixels=_joined(list(pixels.values())) if pixels else None,
            rows=_joined(list(rows.values())) if rows else None,
            with_pixels=tuple(pixels),
            with_rows=tuple(rows),
            text=TextBatch.of([sample.text for sample in samples]),
            guided=torch.stack([sample.guided for sample in samples]),
            relevant=torch.stack([sample.relevant for sample in samples]),
            targets=torch.stack([sample.targets for sample in samples]),
            weight=torch.stack([sample.weight for sample in samples]),
            hidden=torch.stack([sample.hidden for sample in samples]),
        )

    def tensors(self) -> list[Tensor]:
        """All tensors."""
        own = [getattr(self, field.name) for field in fields(self)]
        text = [getattr(self.text, field.name) for field in fields(self.text)]
        return [value for value in (*own, *text) if isinstance(value, Tensor)]

    def pin_memory(self) -> LoadedClips:
        """The same in page-locked memory; torch's loader calls this for a CUDA device."""
        return self._map(Tensor.pin_memory)

    def to(self, device: torch.device) -> LoadedClips:
        """The same on a device; from page-locked memory, the copy need not be finished."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def _map(self, function: Any) -> LoadedClips:
        def mapped(part: Any) -> dict[str, Any]:
            values = {field.name: getattr(part, field.name) for field in fields(part)}
            return {n: function(v) for n, v in values.items() if isinstance(v, Tensor)}

        return replace(self, text=replace(self.text, **mapped(self.text)), **mapped(self))


def _joined(parts: list[Tensor]) -> Tensor:
    """Tensors of equal shapes (n, ...) as one, in shared memory if this is a worker process.

    What a worker hands over is moved there anyway, by another copy of all frames.
    """
    first = parts[0]
    joined = first.new_empty(len(parts) * len(first), *first.shape[1:])
    if get_worker_info() is not None:
        joined.share_memory_()
    return torch.cat(parts, out=joined)
