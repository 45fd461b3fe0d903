"""One-frame videos as clips: a still image under a camera that moves slowly, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_SHIFT = 0.06
"""Of a side, in each direction: most objects stay in view."""
LARGEST_ZOOM = 0.05
LARGEST_TURN = np.deg2rad(3.0)
"""Small enough for left, right, above and below to stay true."""
_HALF = 0.5
_BYTE = 255


@dataclass(frozen=True)
class Drift:
    """The views of a clip: each sees the image shifted, zoomed and turned a little.

    The first and the last view are drawn independently, those between lie on the way from one to
    the other. Nothing moves relative to anything else, so no sentence about motion becomes true.

    Attributes:
        maps: float32 (T, 2, 3), from places in a view to places in the image, both in [-1, 1].
    """

    maps: Tensor

    @staticmethod
    def draw(frames: int, height: int, width: int, rng: np.random.Generator) -> Drift:
        """Draw T views.

        Args:
            frames: T.
            height, width: of the image before it was resized to a square.
            rng: decides everything.
        """
        limits = np.array([LARGEST_SHIFT * 2, LARGEST_SHIFT * 2, LARGEST_ZOOM, LARGEST_TURN])
        ends = rng.uniform(-limits, limits, (2, 4))
        way = np.linspace(0, 1, frames)[:, None]
        across, down, zoom, turn = (ends[0] * (1 - way) + ends[1] * way).T  # (T,) each
        cos, sin = np.cos(turn) * (1 + zoom), np.sin(turn) * (1 + zoom)
        # A turn keeps shapes in pixels of the image; the square's sides have other units.
        maps = np.stack([cos, -sin * height / width, across, sin * width / height, cos, down], 1)
        return Drift(torch.from_numpy(maps.reshape(frames, 2, 3).astype(np.float32)))

    def frames(self, image: Tensor) -> Tensor:
        """The views of an image, uint8 (T, 3, S, S); its border continues outside.

        Args:
            image: uint8 (T, 3, S, S), T times the same, or (1, 3, S, S).
        """
        seen = self._view(image.float(), "border")
        return seen.round().clamp(0, _BYTE).to(torch.uint8)

    def masks(self, mask: Tensor) -> Tensor:
        """The views of a mask, uint8 (T, S, S) of 0 and 1; nothing is outside the image.

        The pixel that covers the mask best is always 1, as in ``targets.union_mask``: a small
        object leaves a view only as a whole.

        Args:
            mask: uint8 (T, S, S), T times the same, or (1, S, S).
        """
        share = self._view(mask.float().unsqueeze(1), "zeros").squeeze(1)  # (T, S, S)
        best = share.amax(dim=(1, 2), keepdim=True)
        return ((share >= best.clamp(max=_HALF)) & (share > 0)).to(torch.uint8)

    def _view(self, image: Tensor, outside: str) -> Tensor:
        """Float (T, C, S, S) of an image (T or 1, C, S, S)."""
        image = image.expand(len(self.maps), -1, -1, -1)
        grid = F.affine_grid(self.maps, list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, "bilinear", outside, align_corners=False)
