"""PNG files of masks, read back by another decoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stages.core.media.mask_png import encode_mask, write_mask


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (48, 85)])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_a_written_mask_comes_back_as_0_and_255_in_one_channel(tmp_path, shape, kind):
    mask = np.random.default_rng(0).random(shape) > 0.5
    write_mask(tmp_path / "m.png", mask.astype(kind))
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.where(mask, 255, 0))


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3), (0, 5)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="expected \\(H, W\\)"):
        write_mask(tmp_path / "m.png", np.zeros(shape, bool))
    assert not (tmp_path / "m.png").exists()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (33, 50), (480, 854)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_encoded_mask_reads_back(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(0).random(shape) < share
    with Image.open(io.BytesIO(encode_mask(mask))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), mask * np.uint8(255))
