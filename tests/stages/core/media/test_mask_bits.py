"""Packed masks: packing, counting, and PNG files made of them."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stages.core.media import mask_png
from stages.core.media.mask_bits import count_pixels, empty_bits, pack_mask, unpack_mask
from stages.core.media.mask_png import deflate_runs, encode_bits, encode_mask

SIDES = st.integers(1, 40)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SIDES, SIDES, st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_a_packed_mask_comes_back_from_bits_and_from_its_file(
    height: int, width: int, tenths: int, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < tenths / 9
    bits = pack_mask(mask)
    assert bits.shape == empty_bits(height, width).shape
    assert np.array_equal(unpack_mask(bits, width), mask)
    assert count_pixels(bits) == int(mask.sum())
    with Image.open(io.BytesIO(encode_bits(bits, width))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), mask * np.uint8(255))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 30), st.integers(1, 70), st.data())
def test_a_rectangle_anywhere_keeps_its_place(height: int, width: int, data: st.DataObject) -> None:
    """Only the rows and columns that hold a mask are unpacked."""
    top = data.draw(st.integers(0, height - 1))
    left = data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), bool)
    mask[top : data.draw(st.integers(top + 1, height)), left] = True
    mask[top, left : data.draw(st.integers(left + 1, width))] = True
    with Image.open(io.BytesIO(encode_mask(mask))) as image:
        assert np.array_equal(np.asarray(image), mask * np.uint8(255))


@pytest.mark.parametrize("density", [0.0, 0.001, 0.5, 1.0])
def test_files_do_not_depend_on_the_zlib_at_hand(
    monkeypatch: pytest.MonkeyPatch, density: float
) -> None:
    """Else two machines would write different files for the same masks."""
    mask = np.random.default_rng(0).random((270, 481)) < density
    mask = np.maximum(mask, np.roll(mask, 1, axis=1))
    mask[:20] = mask[200:] = False
    files = []
    for compressor in (mask_png._compressor, zlib.compressobj):
        monkeypatch.setattr(mask_png, "_compressor", compressor)
        mask_png._empty_file.cache_clear()
        mask_png._zeros.cache_clear()
        files.append(encode_mask(mask))
    assert files[0] == files[1]


def test_runs_are_packed_smaller_than_by_a_fast_level() -> None:
    rows, columns = np.ogrid[:480, :854]
    disc = (rows - 240) ** 2 + (columns - 400) ** 2 < 120**2
    lines = np.zeros((480, 855), np.uint8)
    lines[:, 1:] = disc * np.uint8(255)
    packed = deflate_runs(lines)
    assert zlib.decompress(packed) == lines.tobytes()
    assert len(packed) < 0.6 * len(zlib.compress(lines.tobytes(), 1))
