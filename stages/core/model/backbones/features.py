"""Features of frames, as the frozen image encoder gives them: the input of both paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameFeatures:
    """Features of N frames (paper: F_SAM), ready for the mask decoder.

    The two finer levels are stored after the decoder's 1x1 projections, which are frozen with the
    encoder: an eighth and a quarter of the channels to keep in memory.

    Attributes:
        fine: (N, C/8, 4h, 4h), a quarter of the coarse stride.
        middle: (N, C/4, 2h, 2h), half of the coarse stride.
        coarse: (N, C, h, h), stride 16 (14 in SAM 3).
        position: (1, C, h, h), sine position encoding of the coarse level, equal for all frames.
    """

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    position: Tensor

    def __post_init__(self) -> None:
        n, c, h, w = self.coarse.shape
        expected = {
            "fine": (n, c // 8, 4 * h, 4 * w),
            "middle": (n, c // 4, 2 * h, 2 * w),
            "position": (1, c, h, w),
        }
        for name, shape in expected.items():
            actual = tuple(getattr(self, name).shape)
            if actual != shape:
                raise ValueError(f"{name} has shape {actual}, expected {shape}")

    def __len__(self) -> int:
        return self.coarse.shape[0]

    @property
    def frames(self) -> FrameFeatures:
        """Itself: each of N items shows a frame of its own, see ``RepeatedFeatures``."""
        return self

    @property
    def rows(self) -> None:
        """No item shows the frame of another one."""
        return None

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> FrameFeatures:
        """Some of the frames, in the order asked for."""
        return self._map(lambda level: level[index])

    def _map(self, function) -> FrameFeatures:  # type: ignore[no-untyped-def]
        return replace(
            self,
            fine=function(self.fine),
            middle=function(self.middle),
            coarse=function(self.coarse),
        )

    def to(self, *args, **kwargs) -> FrameFeatures:  # type: ignore[no-untyped-def]
        """As ``Tensor.to``, for all levels and the position encoding."""
        moved = self._map(lambda level: level.to(*args, **kwargs))
        return replace(moved, position=self.position.to(*args, **kwargs))

    def detach(self) -> FrameFeatures:
        return replace(self._map(Tensor.detach), position=self.position.detach())

    @property
    def nbytes(self) -> int:
        """Bytes of the N frames (the shared position encoding not counted)."""
        return sum(level.nbytes for level in (self.fine, self.middle, self.coarse))

    def as_tensors(self) -> dict[str, Tensor]:
        """The four tensors by name, for a cache on disk."""
        return {name: getattr(self, name) for name in ("fine", "middle", "coarse", "position")}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor]) -> FrameFeatures:
        return FrameFeatures(**tensors)

    @staticmethod
    def cat(parts: Sequence[FrameFeatures]) -> FrameFeatures:
        """The frames of all parts, one after another."""
        if not parts:
            raise ValueError("no features to concatenate")
        first = parts[0]
        if len(parts) == 1:
            return first
        return FrameFeatures(
            fine=torch.cat([part.fine for part in parts]),
            middle=torch.cat([part.middle for part in parts]),
            coarse=torch.cat([part.coarse for part in parts]),
            position=first.position,
        )


@dataclass(frozen=True)
class RepeatedFeatures:
    """Features of B items, several of which show the same frame; the frames are not copied.

    Attributes:
        frames: of n frames.
        rows: int64 (B,) which of them each item shows, on their device.
    """

    frames: FrameFeatures
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)


ItemFeatures = FrameFeatures | RepeatedFeatures
"""Features of B items: ``frames``, and ``rows`` where items share them."""


def repeat_rows(level: Tensor, rows: Tensor | None) -> Tensor:
    """(B, ...) from (n, ...): what each item shows; one frame is repeated without copies."""
    if rows is None:
        return level
    if len(level) == 1:
        return level.expand(len(rows), *level.shape[1:])
    return level[rows]
