"""Mask pictures."""

import numpy as np
import pytest
from PIL import Image

from schemas.errors import CorruptInput
from stages.core.media.mask_png import sound_png, write_mask


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (48, 85)])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_a_mask_comes_back_as_0_and_255_in_one_channel(tmp_path, shape, kind):
    mask = np.random.default_rng(0).random(shape) > 0.5
    write_mask(tmp_path / "m.png", mask.astype(kind))
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), np.where(mask, 255, 0))


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3), (0, 5)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="expected \\(H, W\\)"):
        write_mask(tmp_path / "m.png", np.zeros(shape, bool))
    assert not (tmp_path / "m.png").exists()


def test_every_flipped_bit_of_a_png_is_noticed(tmp_path):
    write_mask(tmp_path / "m.png", np.eye(9, dtype=np.uint8))
    whole = (tmp_path / "m.png").read_bytes()
    assert sound_png(whole) == whole
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptInput):
            sound_png(bytes(damaged))
