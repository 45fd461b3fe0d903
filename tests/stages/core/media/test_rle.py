"""Masks from run lengths: as pycocotools decodes them, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.media.rle import decode, encode, mask_area


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_masks_are_decoded_as_by_pycocotools(
    height: int, width: int, density: float, seed: int
) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < density).astype(np.uint8)
    found = decode(encode(mask), where="here")
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask)
    assert np.array_equal(found, coco.decode(encode(mask)))
    assert mask_area(encode(mask), where="here") == mask.sum()


@pytest.mark.parametrize(
    ("size", "counts", "message"),
    [
        ([0, 4], b"0", "here: a mask cannot have 4x0 pixels"),
        ([2, 3], b"5", "here: the runs do not fill 3x2 pixels"),
        ([2, 3], b"", "here: the RLE has no runs"),
        ([2, 3], b"~", "here: the RLE has an invalid character"),
        ([2, 3], b"P", "here: the RLE is cut off"),
        ([2, 3], b"O7", "here: the RLE has a negative or absurd run"),
        ([2, 3], b"PPPPPPP1", "here: the RLE has a number that is too large"),
    ],
)
def test_a_damaged_mask_is_refused(size: list[int], counts: bytes, message: str) -> None:
    for read in (decode, mask_area):
        with pytest.raises(CorruptInput) as caught:
            read({"size": size, "counts": counts}, where="here")
        assert str(caught.value) == message
