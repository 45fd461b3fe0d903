"""Masks between two known ones."""

from __future__ import annotations

import numpy as np

from stages.tools.segment.between.interpolation import masks_between

SHAPE = (60, 80)


def disk(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def between(first: np.ndarray, last: np.ndarray, steps: int) -> list[np.ndarray]:
    return list(masks_between(first, last, steps))


def test_a_mask_moves_and_grows_evenly() -> None:
    found = between(disk(20, 15, 8), disk(35, 60, 12), 4)
    assert len(found) == 3
    for step, mask in enumerate(found, 1):
        share = step / 4
        truth = disk(20 + 15 * share, 15 + 45 * share, 8 + 4 * share)
        assert iou(mask, truth) > 0.9
        assert iou(disk(20, 15, 8), truth) < 0.35


def test_a_mask_that_stands_still_stays_as_it_is() -> None:
    mask = disk(20, 15, 8) | disk(40, 50, 5)
    for found in between(mask, mask, 5):
        assert (found == mask).all()


def test_beside_an_empty_mask_the_nearer_one_is_repeated() -> None:
    mask, empty = disk(20, 15, 8), np.zeros(SHAPE, bool)
    assert [found.any() for found in between(mask, empty, 4)] == [True, False, False]
    assert [found.any() for found in between(empty, mask, 4)] == [False, True, True]
    assert (between(mask, empty, 4)[0] == mask).all()
    assert not any(found.any() for found in between(empty, empty, 4))


def test_two_neighbours_have_nothing_between_them() -> None:
    mask = disk(20, 15, 8)
    assert between(mask, mask, 1) == between(mask, np.zeros(SHAPE, bool), 1) == []


def test_what_leaves_the_frame_is_cut() -> None:
    (found,) = between(disk(2, 40, 15), disk(2, 60, 15), 2)
    assert iou(found, disk(2, 50, 15)) > 0.9
    for large in between(disk(5, 5, 4), np.ones(SHAPE, bool), 5):  # moved, it leaves the frame
        assert large.shape == SHAPE
        assert large[:10, :10].any()


def test_a_mask_of_one_pixel_and_a_full_one() -> None:
    one = np.zeros(SHAPE, bool)
    one[3, 70] = True
    (found,) = between(one, np.ones(SHAPE, bool), 2)
    assert 0 < found.sum() < found.size
