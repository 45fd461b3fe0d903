"""Packing COCO run lengths, against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from random_masks import DENSITIES, SIDES, random_mask

from schemas.errors import CorruptInput
from stages.score.masks.packed_masks import pack, unpack
from stages.score.masks.rle import pack_rle


@settings(max_examples=150, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    density=DENSITIES,
    grain=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_runs_equal_pycocotools(height, width, density, grain, seed):
    mask = random_mask(np.random.default_rng(seed), height, width, density, grain)
    counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    for form in (counts, counts.decode(), plain_runs(mask)):
        packed = pack_rle(form, (height, width), where="mask")
        np.testing.assert_array_equal(unpack(packed), mask)
        assert packed.words.shape == pack(mask).words.shape


def plain_runs(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths, with needless runs of 0 among them."""
    values = np.concatenate([[False], mask.T.reshape(-1)])
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]), [mask.size]])
    runs = np.diff(starts).tolist()
    return [*runs[:1], 0, 0, *runs[1:]]


@pytest.mark.parametrize(
    "counts",
    [
        *(b"", b"\x01\x02", b"0", b"PPPPPPPPPP", b"o", [600, 1], [700, -100], ["x"], [2**70]),
        [2**62, 2**62, 2**62, 2**62 + 600],  # 600 in 64 bits
    ],
)
def test_broken_runs_are_refused(counts):
    with pytest.raises(CorruptInput, match="anno 7"):
        pack_rle(counts, (20, 30), where="anno 7")


@settings(max_examples=200, deadline=None)
@given(counts=st.binary(max_size=12), height=st.integers(1, 5), width=st.integers(1, 5))
def test_runs_from_strangers_give_a_mask_or_one_error(counts, height, width):
    try:
        mask = pack_rle(counts, (height, width), where="anno 7")
    except CorruptInput:
        return
    assert mask.words.shape == (height, 1)
