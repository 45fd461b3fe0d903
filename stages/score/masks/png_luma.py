"""Luma of colours, as libpng computes it for OpenCV's greyscale decode.

The constants are libpng's: weights 0.299, 0.587 and the rest in units of 1 / 32768
(png_set_rgb_to_gray). Without a gamma, 8-bit sums are truncated and 16-bit sums rounded; if the
file has a gamma, linear light is weighed, for 16-bit colours through tables of 11 bits.
"""

from __future__ import annotations

import numpy as np

_RED, _GREEN, _BLUE = 9797, 19234, 3737
_UNIT_BITS = 15
_HALF = 1 << (_UNIT_BITS - 1)
_BYTE = 8
_TOP_8, _TOP_16, _TOP_TABLE = 0xFF, 0xFFFF, 0x7FF
_TABLE_SHIFT = 5  # from 16 bits to the 11 of libpng's tables
_GAMMA_UNIT = 100_000
_NO_GAMMA = (95_000, 105_000)  # libpng treats gammas this near to 1 as 1


def has_luma(colours: np.ndarray, gamma: int | None) -> np.ndarray:
    """Return whether the luma of each colour, cut to 8 bits, is above 0.

    Args:
        colours: uint8 or uint16 (..., 3), red, green, blue.
        gamma: the file's gamma times 100,000; None if it has none.

    Returns:
        bool (...).
    """
    wide = colours.astype(np.int64)
    deep = colours.dtype == np.uint16
    if not gamma or _NO_GAMMA[0] <= gamma <= _NO_GAMMA[1]:
        luma = (_weigh(wide) + (_HALF if deep else 0)) >> _UNIT_BITS
        same = wide[..., 0]
    elif deep:
        light = _power(_TOP_16, wide >> _TABLE_SHIFT, _TOP_TABLE, _GAMMA_UNIT / gamma)
        luma = (_weigh(light) + _HALF) >> _UNIT_BITS
        luma = _power(_TOP_16, luma >> _TABLE_SHIFT, _TOP_TABLE, gamma / _GAMMA_UNIT)
        same = ((wide[..., 0] >> _TABLE_SHIFT) * _TOP_16 + _TOP_TABLE // 2 + 1) // _TOP_TABLE
    else:
        light = _power(_TOP_8, wide, _TOP_8, _GAMMA_UNIT / gamma)
        luma = (_weigh(light) + _HALF) >> _UNIT_BITS
        luma = _power(_TOP_8, luma, _TOP_8, gamma / _GAMMA_UNIT)
        same = wide[..., 0]
    is_grey = (wide[..., 0] == wide[..., 1]) & (wide[..., 0] == wide[..., 2])
    level = np.where(is_grey, same, luma)
    return level > (_TOP_8 if deep else 0)


def _weigh(colours: np.ndarray) -> np.ndarray:
    return _RED * colours[..., 0] + _GREEN * colours[..., 1] + _BLUE * colours[..., 2]


def _power(top: int, levels: np.ndarray, top_level: int, exponent: float) -> np.ndarray:
    """Compute `top` x (level / top_level) ^ exponent, rounded, int64."""
    return np.floor(top * (levels / top_level) ** exponent + 0.5).astype(np.int64)
