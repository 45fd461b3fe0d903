"""Checksums of PNG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from schemas.errors import CorruptInput
from stages.core.media.mask_png import write_mask
from stages.core.media.png_checks import checked_png


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", np.eye(9, dtype=np.uint8))
    whole = (tmp_path / "m.png").read_bytes()
    assert checked_png(whole) == whole
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptInput):
            checked_png(bytes(damaged))


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", np.eye(9, dtype=np.uint8))
    whole = (tmp_path / "m.png").read_bytes()
    for length in range(len(whole)):
        with pytest.raises(CorruptInput, match="truncated" if length >= 8 else "is not a PNG file"):
            checked_png(whole[:length])


def test_texts_are_dropped() -> None:
    texts, file = PngInfo(), io.BytesIO()
    texts.add_text("comment", "x" * 1000)
    Image.new("L", (3, 2)).save(file, "PNG", pnginfo=texts)
    plain = checked_png(file.getvalue())
    assert len(plain) < 200
    assert Image.open(io.BytesIO(plain)).size == (3, 2)
