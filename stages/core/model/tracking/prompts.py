"""Prompts of single objects, and the batches that they form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stages.core.model.backbones.records import Prompts

ObjectPrompts = Mapping[int, Prompts]
"""Frame -> prompts of one object on it."""


def prompt_shape(prompts: Prompts) -> tuple[bool, int, bool]:
    """Whether prompts have masks, the number of points, and whether they have boxes.

    Prompts of equal shape can be one batch.
    """
    points = 0 if prompts.points is None else prompts.points.shape[1]
    return prompts.mask is not None, points, prompts.boxes is not None


def join_prompts(parts: Sequence[Prompts]) -> Prompts:
    """The prompts of several objects, which all have the same shape, as one batch."""
    return Prompts(
        mask=_join([part.mask for part in parts]),
        points=_join([part.points for part in parts]),
        labels=_join([part.labels for part in parts]),
        boxes=_join([part.boxes for part in parts]),
    )


def _join(tensors: Sequence[Tensor | None]) -> Tensor | None:
    given = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(given) if given else None


def check_prompts(objects: Sequence[ObjectPrompts], frames: int) -> None:
    """Raise ValueError unless each object is prompted, on frames of the video, one at a time.

    Args:
        objects: frame -> prompts of each object.
        frames: of the video.
    """
    for number, prompts in enumerate(objects):
        if not prompts:
            raise ValueError(f"object {number} has no prompt")
        for frame, given in prompts.items():
            if not 0 <= frame < frames:
                raise ValueError(
                    f"object {number} is prompted on frame {frame}, the video has {frames}"
                )
            if len(given) != 1:
                raise ValueError(f"object {number} has prompts for {len(given)} objects")
