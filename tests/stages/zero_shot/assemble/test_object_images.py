"""Palette images keep the numbers of their objects."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from stages.core.datasets.palette import palette_png


def test_pixels_are_numbers_and_later_objects_cover_earlier_ones() -> None:
    one, two = np.zeros((5, 7), bool), np.zeros((5, 7), bool)
    one[1:4, 1:4] = True
    two[2:5, 2:6] = True
    with Image.open(io.BytesIO(palette_png([(3, one), (200, two)], (5, 7)))) as image:
        assert image.mode == "P"
        numbers = np.asarray(image)
        colours = np.array(image.getpalette()).reshape(-1, 3)
    expected = np.where(two, 200, np.where(one, 3, 0))
    assert np.array_equal(numbers, expected)
    # The first colours of PASCAL VOC, as DAVIS has them.
    voc = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colours[:5].tolist() == voc
    assert len({tuple(colour) for colour in colours}) == 256


def test_no_object_is_black() -> None:
    with Image.open(io.BytesIO(palette_png([], (2, 3)))) as image:
        assert image.size == (3, 2)
        assert not np.asarray(image).any()
