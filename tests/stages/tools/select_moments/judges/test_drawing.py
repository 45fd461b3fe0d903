"""Crops keep the object and fade the rest; outlines lie around the object."""

from __future__ import annotations

import numpy as np

from stages.tools.select_moments.judges.drawing import COLOUR, object_crop, outlined

SHAPE = (60, 90)


def frame_and_mask(top: int, left: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    frame = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    mask = np.zeros(SHAPE, bool)
    mask[top : top + height, left : left + width] = True
    return frame, mask


def test_a_crop_is_a_square_with_a_margin_around_the_object() -> None:
    frame, mask = frame_and_mask(20, 30, 10, 20)
    crop = object_crop(frame, mask)
    assert crop.shape == (26, 26, 3)  # 20 and 15 % on each side
    assert np.array_equal(crop[8:18, 3:23], frame[20:30, 30:50])
    around = crop.copy()
    around[8:18, 3:23] = 0
    assert np.array_equal(around[..., 0], around[..., 1])  # grey
    assert around.max() <= 191  # and faded


def test_a_crop_may_leave_the_frame_on_every_side() -> None:
    for top, left, height, width in [(0, 0, 30, 4), (50, 86, 10, 4), (0, 0, 60, 90), (0, 40, 1, 1)]:
        frame, mask = frame_and_mask(top, left, height, width)
        crop = object_crop(frame, mask)
        assert crop.shape[0] == crop.shape[1] >= max(height, width)
        own = frame[top : top + height, left : left + width]
        y, x = ((crop.shape[0] - n) // 2 for n in (height, width))
        assert np.array_equal(crop[y : y + height, x : x + width], own)


def test_an_outline_leaves_the_object_as_it_is() -> None:
    frame, mask = frame_and_mask(20, 30, 10, 20)
    before = frame.copy()
    drawn = outlined(frame, mask)
    assert np.array_equal(frame, before)
    changed = (drawn != frame).any(axis=2)
    assert not changed[mask].any()
    ring = np.zeros(SHAPE, bool)
    ring[18:32, 28:52] = True
    ring &= ~mask
    assert (drawn[ring] == COLOUR).all()
    assert not changed[~ring].any()


def test_a_square_shows_the_whole_frame() -> None:
    frame, mask = frame_and_mask(0, 80, 60, 10)
    drawn = outlined(frame, mask, square=True)
    assert drawn.shape == (90, 90, 3)
    assert np.array_equal(drawn[15:75], outlined(frame, mask))
    assert (drawn[:15] == 128).all()
    assert (drawn[75:] == 128).all()
