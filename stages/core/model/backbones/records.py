"""Records that the steps of a backbone exchange: prompts, memory tokens, decoded masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

CORNER_LABELS = (2, 3)
"""Labels of the first and the last corner of a box."""


@dataclass(frozen=True)
class Decoded:
    """Output of the mask decoder for B items; the chosen candidate has the highest predicted IoU.

    Attributes:
        candidates: (B, M, s, s) raw mask logits.
        iou: (B, M) predicted IoU, 0..1.
        tokens: (B, M, C) mask tokens, from which object pointers are made.
        object_score: (B,) logit of "the object is visible".
        pointer: (B, C) object pointers where masks were given; otherwise made from the token.
    """

    candidates: Tensor
    iou: Tensor
    tokens: Tensor
    object_score: Tensor
    pointer: Tensor | None = None

    def __getitem__(self, rows: slice | Sequence[int]) -> Decoded:
        """Some of the items: views for a slice, else copies."""
        pointer = self.pointer
        return Decoded(
            candidates=self.candidates[rows],
            iou=self.iou[rows],
            tokens=self.tokens[rows],
            object_score=self.object_score[rows],
            pointer=None if pointer is None else pointer[rows],
        )

    @property
    def chosen(self) -> Tensor:
        """(B,) index of the candidate with the highest predicted IoU."""
        return self.iou.argmax(dim=1)

    @property
    def mask_logits(self) -> Tensor:
        """(B, s, s) raw logits of the chosen candidate."""
        rows = torch.arange(len(self.iou), device=self.iou.device)
        return self.candidates[rows, self.chosen]

    @property
    def token(self) -> Tensor:
        """(B, C) token of the chosen candidate."""
        if self.tokens.shape[1] != self.iou.shape[1]:
            return self.tokens[:, 0]
        rows = torch.arange(len(self.iou), device=self.iou.device)
        return self.tokens[rows, self.chosen]


@dataclass(frozen=True)
class Prompts:
    """Prompts for B objects on one frame: a mask each, or points and boxes.

    Attributes:
        mask: (B, S, S) of 0 and 1: the result itself, and the object's first memory.
        points: (B, P, 2) pixel coordinates x, y in the S x S image, with ``labels``.
        labels: (B, P) 1 inside, 0 outside, -1 no point.
        boxes: (B, 4) x0, y0, x1, y1 in pixels of the S x S image.
    """

    mask: Tensor | None = None
    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None

    def __post_init__(self) -> None:
        clicks = self.points is not None or self.boxes is not None
        if (self.mask is not None) == clicks:
            raise ValueError("give either a mask, or points or boxes")
        if (self.points is None) != (self.labels is None):
            raise ValueError("points and labels come together")

    def to(self, device: torch.device) -> Prompts:
        """The same prompts on a device."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return Prompts(**{k: None if v is None else v.to(device) for k, v in parts.items()})

    def __len__(self) -> int:
        """B."""
        parts = (self.mask, self.points, self.boxes)
        return len(next(part for part in parts if part is not None))

    def clicks(self) -> tuple[Tensor, Tensor]:
        """Boxes and points as SAM 2 reads them: two corners with labels of their own, then points.

        Returns:
            (B, P, 2) pixel coordinates x, y and (B, P) labels.

        Raises:
            ValueError: the prompts are masks.
        """
        points, labels = [], []
        if self.boxes is not None:
            points.append(self.boxes.unflatten(1, (2, 2)))  # (B, 2, 2)
            corners = torch.tensor(CORNER_LABELS, device=self.boxes.device)
            labels.append(corners.expand(len(self.boxes), -1))  # (B, 2)
        if self.points is not None and self.labels is not None:
            points.append(self.points)
            labels.append(self.labels)
        if not points:
            raise ValueError("a mask has no clicks")
        return torch.cat(points, dim=1), torch.cat(labels, dim=1)


@dataclass(frozen=True)
class MemoryTokens:
    """The memories that B items read, as memory attention takes them.

    Attributes:
        memory: (L, G, Cm): N tokens per remembered frame, then the pointers' tokens.
        position: (L, G, Cm).
        pointer_tokens: how many of the L belong to pointers.
        owner: for each of the B items, which of the G memories it reads; None if G is B and each
            has its own.
    """

    memory: Tensor
    position: Tensor
    pointer_tokens: int
    owner: tuple[int, ...] | None = None
