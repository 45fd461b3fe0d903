"""Cut-outs: what a mask shows, with the rest transparent."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

_BAND = 16
"""Pixels around the mask that keep a colour; a macroblock of the video codecs."""
_OPAQUE = 255


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cut the mask's region out of an image.

    The colours of the region's edge continue for some pixels under the transparent part: players
    and editors mix neighbouring pixels, and codecs halve the resolution of colour, so that black
    there would show as a dark fringe, and the background as a light one. Further out, nothing of
    the image is left.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: bool (H, W).

    Returns:
        uint8 RGBA (H, W, 4), not premultiplied; the alpha is 255 in the mask and 0 outside.
    """
    out = np.zeros((*mask.shape, 4), dtype=np.uint8)
    if not mask.any():
        return out
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    near = (
        slice(max(0, rows[0] - _BAND), rows[-1] + 1 + _BAND),
        slice(max(0, columns[0] - _BAND), columns[-1] + 1 + _BAND),
    )
    distance, nearest = distance_transform_edt(~mask[near], return_indices=True)
    continued = image[near][nearest[0], nearest[1]]
    out[near][..., :3] = continued * (distance <= _BAND)[..., None]
    out[..., 3] = mask * np.uint8(_OPAQUE)
    return out
