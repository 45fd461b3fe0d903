"""Our PNGs, read back by another decoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stages.core.media.fast_png import encode_mask


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (33, 50), (480, 854)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_mask_reads_back(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(0).random(shape) < share
    with Image.open(io.BytesIO(encode_mask(mask))) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), mask * np.uint8(255))
