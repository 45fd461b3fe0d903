"""The true masks of held-out sentences, made in threads while the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stages.core.index.index import Expression, Index, Video
from stages.train.data.targets import ReferentMasks

T = TypeVar("T")


@dataclass(frozen=True)
class PackedMasks:
    """Masks of T frames of S x S, eight pixels a byte: those of many sentences may wait.

    Attributes:
        bits: uint8 (T, ceil(S * S / 8)).
        size: S.
    """

    bits: np.ndarray
    size: int

    @staticmethod
    def of(masks: np.ndarray) -> PackedMasks:
        """Pack masks (T, S, S) of 0 and 1."""
        return PackedMasks(np.packbits(masks.reshape(len(masks), -1), axis=1), masks.shape[-1])

    def on(self, device: torch.device) -> Tensor:
        """Bool (T, S, S)."""
        flat = np.unpackbits(self.bits, axis=1, count=self.size**2)  # (T, S * S)
        return torch.from_numpy(flat).to(device).bool().unflatten(1, (self.size, self.size))


def true_masks(
    index: Index,
    wanted: Iterable[tuple[Video, Expression, np.ndarray]],
    size: int,
    threads: Executor,
    *,
    ahead: int,
) -> Generator[PackedMasks]:
    """Yield the masks of sentences, in order; some more are in work.

    Args:
        wanted: videos, sentences, and frames (T,) of each.
        size: S.
        threads: make masks of what was read here: an index is not shared by threads.
        ahead: sentences that may be in work or wait.

    Raises:
        CorruptInput: as ``ReferentMasks``.
    """

    jobs = (
        partial(_packed, ReferentMasks.of(index, video, expression.anno_ids), frames, size)
        for video, expression, frames in wanted
    )
    yield from _in_order(jobs, threads, ahead)


def _packed(masks: ReferentMasks, frames: np.ndarray, size: int) -> PackedMasks:
    return PackedMasks.of(masks.binary(frames, size))


def _in_order(jobs: Iterable[Callable[[], T]], threads: Executor, ahead: int) -> Iterator[T]:
    """Results of jobs in their order."""
    pending: deque[Future[T]] = deque()
    try:
        for job in jobs:
            pending.append(threads.submit(job))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
