"""Masks between two known ones."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tools.segment.between.interpolation import mask_between

SHAPE = (60, 80)


def disk(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_mask_moves_and_grows_evenly(share: float) -> None:
    found = mask_between(disk(20, 15, 8), disk(35, 60, 12), share)
    truth = disk(20 + 15 * share, 15 + 45 * share, 8 + 4 * share)
    assert iou(found, truth) > 0.92
    assert iou(disk(20, 15, 8), truth) < 0.3


def test_a_mask_that_stands_still_stays_as_it_is() -> None:
    mask = disk(20, 15, 8) | disk(40, 50, 5)
    assert (mask_between(mask, mask, 0.5) == mask).all()


@pytest.mark.parametrize(("share", "visible"), [(0.25, True), (0.5, False), (0.75, False)])
def test_beside_an_empty_mask_the_nearer_one_is_repeated(share: float, visible: bool) -> None:
    mask = disk(20, 15, 8)
    assert (mask_between(mask, np.zeros(SHAPE, bool), share) == (mask & visible)).all()


def test_what_leaves_the_frame_is_cut() -> None:
    found = mask_between(disk(2, 40, 15), disk(2, 60, 15), 0.5)
    assert iou(found, disk(2, 50, 15)) > 0.9
    large = mask_between(disk(5, 5, 4), np.ones(SHAPE, bool), 0.2)  # moved, it leaves the frame
    assert large.shape == SHAPE
    assert large[:10, :10].any()


def test_a_mask_of_one_pixel_and_a_full_one() -> None:
    one = np.zeros(SHAPE, bool)
    one[3, 70] = True
    found = mask_between(one, np.ones(SHAPE, bool), 0.5)
    assert 0 < found.sum() < found.size
