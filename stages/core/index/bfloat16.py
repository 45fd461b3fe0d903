"""bfloat16 in numpy, which has no such type: the upper half of a float32, as uint16."""

from __future__ import annotations

import numpy as np

_HALF_BITS = 16
_ROUND_DOWN = np.uint32(0x7FFF)  # just under half of the last bit that is kept
_EXPONENT = np.uint16(0x7F80)  # all ones: infinity or NaN


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Convert float32 to the bits of bfloat16, uint16, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    odd = (bits >> _HALF_BITS) & 1
    rounded = (bits + _ROUND_DOWN + odd) >> _HALF_BITS
    # Rounding up a NaN could carry over into zero.
    return np.where(np.isnan(values), bits >> _HALF_BITS | 1, rounded).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Convert the bits of bfloat16, uint16, to float32, exactly."""
    return (bits.astype(np.uint32) << _HALF_BITS).view(np.float32)


def all_finite(bits: np.ndarray) -> bool:
    """Return whether no number is infinite or NaN."""
    return bool(((bits & _EXPONENT) != _EXPONENT).all())
