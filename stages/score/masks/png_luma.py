"""When a colour turns into a grey above 0, as libpng weighs it for OpenCV.

The constants are libpng's: weights 0.299, 0.587 and the rest in units of 1 / 32768
(png_set_rgb_to_gray). Without a gamma, 8-bit sums are truncated and 16-bit sums rounded; where the
file names a gamma, colours are weighed as light, 16-bit ones through tables of 11 bits.
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
_NO_GAMMA = (95_000, 105_000)  # libpng takes gammas this near to 1 for 1


def colour_is_foreground(colours: np.ndarray, gamma: int | None) -> np.ndarray:
    """Whether each colour is a grey above 0 when it is cut to 8 bits.

    Args:
        colours: uint8 or uint16 (..., 3), red, green, blue.
        gamma: the file's gamma times 100,000; None where it names none.

    Returns:
        bool (...).
    """
    wide = colours.astype(np.int64)
    deep = colours.dtype == np.uint16
    if not gamma or _NO_GAMMA[0] <= gamma <= _NO_GAMMA[1]:
        grey = (_weigh(wide) + (_HALF if deep else 0)) >> _UNIT_BITS
        same = wide[..., 0]
    elif deep:
        light = _power(_TOP_16, wide >> _TABLE_SHIFT, _TOP_TABLE, _GAMMA_UNIT / gamma)
        grey = (_weigh(light) + _HALF) >> _UNIT_BITS
        grey = _power(_TOP_16, grey >> _TABLE_SHIFT, _TOP_TABLE, gamma / _GAMMA_UNIT)
        same = ((wide[..., 0] >> _TABLE_SHIFT) * _TOP_16 + _TOP_TABLE // 2 + 1) // _TOP_TABLE
    else:
        light = _power(_TOP_8, wide, _TOP_8, _GAMMA_UNIT / gamma)
        grey = (_weigh(light) + _HALF) >> _UNIT_BITS
        grey = _power(_TOP_8, grey, _TOP_8, gamma / _GAMMA_UNIT)
        same = wide[..., 0]
    without_hue = (wide[..., 0] == wide[..., 1]) & (wide[..., 0] == wide[..., 2])
    level = np.where(without_hue, same, grey)
    return level > (_TOP_8 if deep else 0)


def _weigh(colours: np.ndarray) -> np.ndarray:
    return _RED * colours[..., 0] + _GREEN * colours[..., 1] + _BLUE * colours[..., 2]


def _power(top: int, levels: np.ndarray, top_level: int, exponent: float) -> np.ndarray:
    """`top` x (level / top_level) ^ exponent, rounded, int64."""
    return np.floor(top * (levels / top_level) ** exponent + 0.5).astype(np.int64)
