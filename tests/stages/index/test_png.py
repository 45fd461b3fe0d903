"""Mask pictures."""

import numpy as np
import pytest
from PIL import Image

from stages.index.png import write_mask


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
