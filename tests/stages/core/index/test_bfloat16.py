"""bfloat16 by bits, held against torch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.core.index.bfloat16 import all_finite, from_bfloat16, to_bfloat16

FLOATS = hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 5)),
                    elements=st.floats(width=32))  # fmt: skip


@given(FLOATS)
def test_rounding_is_torchs(values: np.ndarray) -> None:
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    bits = to_bfloat16(values)
    found = from_bfloat16(bits)
    assert (bits.dtype, found.dtype, found.shape) == (np.uint16, np.float32, values.shape)
    assert np.array_equal(found, expected, equal_nan=True)
    assert all_finite(bits) == bool(np.isfinite(expected).all())


@given(hnp.arrays(np.uint16, st.integers(0, 20)))
def test_what_is_stored_comes_back(bits: np.ndarray) -> None:
    values = from_bfloat16(bits)
    again = to_bfloat16(values)
    assert np.array_equal(again[~np.isnan(values)], bits[~np.isnan(values)])
    assert np.isnan(from_bfloat16(again[np.isnan(values)])).all()
