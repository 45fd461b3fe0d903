"""bfloat16 in numpy, which knows no such number: the upper half of a float32, as uint16."""

from __future__ import annotations

import numpy as np

_HALF_BITS = 16
_ROUND_DOWN = np.uint32(0x7FFF)  # just under half of the last bit that is kept
_EXPONENT = np.uint16(0x7F80)  # all ones: infinity or no number


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 of any shape as the bits of bfloat16, uint16; rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    odd = (bits >> _HALF_BITS) & 1
    rounded = (bits + _ROUND_DOWN + odd) >> _HALF_BITS
    # Rounding could carry a NaN's last bits over into a zero.
    return np.where(np.isnan(values), bits >> _HALF_BITS | 1, rounded).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """The bits of bfloat16, uint16 of any shape, as float32; exact."""
    return (bits.astype(np.uint32) << _HALF_BITS).view(np.float32)


def all_finite(bits: np.ndarray) -> bool:
    """Whether none of the numbers is infinite or no number."""
    return bool(((bits & _EXPONENT) != _EXPONENT).all())
