"""Place, size and shape of tracks, and their changes: the motion that a mask shows by itself."""

from __future__ import annotations

import torch
from torch import Tensor

STRIDES = (1, 2, 4)
"""Distances in frames that a track is compared over, backwards and forwards."""
STATIC, MOVING = 4, 3
"""Measures of a frame that are read as they are, and those whose changes are read."""
GEOMETRY_WIDTH = STATIC + 2 * len(STRIDES) * (MOVING + 1)
"""G, the numbers per track and frame."""
_SMALLEST_SHARE = 2 / 32**2
"""Of the frame's area, from which a track is visible."""
_SHAPE_SCALE, _PLACE_SCALE, _SIZE_SCALE = 100.0, 10.0, 3.0


def measure_tracks(masks: Tensor) -> Tensor:
    """Measures of tracks in some frames.

    Args:
        masks: float (N, n, m, m), the share of each pixel that a track covers.

    Returns:
        (N, n, 7): visible (0 or 1), share of the border that is covered, two second moments of the
        shape, x, y and the logarithm of the area, scaled so that typical changes are about 1.
    """
    side = masks.shape[-1]
    area = masks.flatten(2).sum(dim=2)  # (N, n)
    share = masks / area.clamp(min=1e-3)[:, :, None, None]
    axis = (torch.arange(side, device=masks.device, dtype=masks.dtype) + 0.5) / side
    columns, rows = share.sum(dim=2), share.sum(dim=3)  # (N, n, m)
    x, y = (columns * axis).sum(dim=2), (rows * axis).sum(dim=2)
    from_x, from_y = axis - x[..., None], axis - y[..., None]  # (N, n, m)
    longer = (columns * from_x**2).sum(dim=2) - (rows * from_y**2).sum(dim=2)
    slanted = torch.einsum("ntyx,ntx,nty->nt", share, from_x, from_y)
    border = masks[:, :, [0, -1]].sum(dim=(2, 3)) + masks[:, :, :, [0, -1]].sum(dim=(2, 3))
    measures = [
        (area > _SMALLEST_SHARE * side**2).to(masks.dtype),
        border / side,
        longer * _SHAPE_SCALE,
        slanted * _SHAPE_SCALE,
        x * _PLACE_SCALE,
        y * _PLACE_SCALE,
        (area / side**2).clamp(min=1e-4).log() * _SIZE_SCALE,
    ]
    return torch.stack(measures, dim=2)


def track_geometry(measures: Tensor) -> Tensor:
    """Shape and changes of tracks; where they are is left out.

    Args:
        measures: (N, T, 7) of ``measure_tracks``.

    Returns:
        (N, T, G): the first four measures; then for each stride, backwards and forwards, the
        changes of the others and whether both frames show the track. 0 where it is not visible.
    """
    visible, moving = measures[..., 0], measures[..., STATIC:]
    parts = list(measures[..., :STATIC].unbind(dim=2))
    place = torch.arange(measures.shape[1], device=measures.device)
    for stride in STRIDES:
        for step in (-stride, stride):
            other = (place + step).clamp(0, len(place) - 1)
            both = visible * visible[:, other]
            changes = (moving - moving[:, other]) * both[..., None]
            parts += [*changes.unbind(dim=2), both]
    return torch.stack(parts, dim=2) * visible[..., None]
