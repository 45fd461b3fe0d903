"""Single frames as arrays, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import CorruptInput, MissingInput
from stages.core.media.frames import frame_size, read_frame


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A lossless picture of 7 x 9 pixels."""
    Image.fromarray(_noise()).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_pixels_and_size(picture: Path) -> None:
    frame = read_frame(picture)
    assert frame.shape == (7, 9, 3)
    assert frame.dtype == np.uint8
    assert np.array_equal(frame, _noise())
    assert frame_size(picture) == (7, 9)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, (4, 3)).save(tmp_path / f"a.{suffix}")
    assert read_frame(tmp_path / f"a.{suffix}").shape == (3, 4, 3)


def test_damage_names_the_file(picture: Path) -> None:
    whole = picture.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:20], b"", b"hello"):
        picture.write_bytes(content)
        with pytest.raises(CorruptInput, match=r"a\.png"):
            read_frame(picture)
    picture.unlink()
    with pytest.raises(MissingInput, match=r"a\.png"):
        read_frame(picture)
    with pytest.raises(MissingInput, match=r"a\.png"):
        frame_size(picture)
