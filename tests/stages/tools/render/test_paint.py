"""Masks over frames: which pixel gets which colour."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tools.render.paint import Layer, compare, fit_mask, fit_picture, grow, line_width, paint
from stages.tools.render.palette import AGREEMENT, EXTRA, MISSED, OUTLINE

SIZE = 60
GREY = 128


def box(top: int, bottom: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[top:bottom, 10:50] = True
    return mask


def ground() -> np.ndarray:
    return np.full((SIZE, SIZE, 3), GREY, dtype=np.uint8)


def test_comparison_splits_the_union_in_three() -> None:
    agreement, missed, extra = compare(box(10, 40), box(20, 50))
    assert (agreement.mask == box(20, 40)).all()
    assert (missed.mask == box(40, 50)).all()
    assert (extra.mask == box(10, 20)).all()
    assert [x.colour for x in (agreement, missed, extra)] == [AGREEMENT, MISSED, EXTRA]
    assert [x.hatched for x in (agreement, missed, extra)] == [False, True, False]


def test_full_opacity_paints_the_exact_colours() -> None:
    picture = paint(ground(), compare(box(10, 40), box(20, 50)), 1.0)
    assert tuple(picture[30, 30]) == AGREEMENT
    assert tuple(picture[15, 30]) == EXTRA
    assert tuple(picture[20, 30]) == OUTLINE  # the edge of the agreement
    assert tuple(picture[49, 30]) == MISSED  # the edge of what was missed
    inside = picture[42:48, 12:48].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) == 2  # stripes


def test_opacity_zero_draws_outlines_only() -> None:
    picture = paint(ground(), [Layer(box(10, 40), EXTRA)], 0.0)
    assert tuple(picture[10, 30]) == EXTRA
    assert tuple(picture[25, 30]) == (GREY, GREY, GREY)


def test_a_dark_rim_lies_around_and_the_rest_is_untouched() -> None:
    picture = paint(ground(), [Layer(box(10, 40), EXTRA)], 0.5)
    assert picture[9, 30].max() < GREY / 2
    assert (picture[:9] == GREY).all()


def test_dim_subdues_everything_without_any_mask() -> None:
    colourful = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    colourful[..., 0] = 200
    plain = paint(colourful, [Layer(np.zeros((SIZE, SIZE), bool), EXTRA)], 0.5)
    dimmed = paint(colourful, [Layer(np.zeros((SIZE, SIZE), bool), EXTRA)], 0.5, dim=True)
    assert (plain == colourful).all()
    assert dimmed[0, 0, 0] < 200
    assert dimmed[0, 0, 1] > 0


def test_overlapping_layers_mix() -> None:
    red, blue = Layer(box(10, 40), (200, 0, 0)), Layer(box(10, 40), (0, 0, 100))
    assert tuple(paint(ground(), [red, blue], 1.0)[25, 30]) == (100, 0, 50)


def test_equal_outlines_show_both_colours() -> None:
    one, two = Layer(box(10, 40), EXTRA), Layer(box(10, 40), AGREEMENT)
    edge = paint(ground(), [one, two], 0.5)[10, 10:50]
    assert {tuple(pixel) for pixel in edge} == {EXTRA, AGREEMENT}


def test_grow_is_a_diamond() -> None:
    point = np.zeros((9, 9), dtype=bool)
    point[4, 4] = True
    rows, columns = np.nonzero(grow(point, 3))
    assert (np.abs(rows - 4) + np.abs(columns - 4)).max() == 3
    assert len(rows) == 25


@pytest.mark.parametrize(("side", "line"), [(1, 1), (128, 1), (256, 2), (720, 4)])
def test_lines_grow_with_the_picture(side: int, line: int) -> None:
    assert line_width(side, 2 * side) == line


def test_fitting_keeps_shares_and_does_nothing_at_the_same_size() -> None:
    mask = box(10, 40)
    assert fit_mask(mask, SIZE, SIZE) is mask
    large = fit_mask(mask, 3 * SIZE, 3 * SIZE)
    assert large.dtype == bool
    assert large.mean() == pytest.approx(mask.mean(), abs=0.01)
    picture = ground()
    assert fit_picture(picture, SIZE, SIZE) is picture
    assert fit_picture(picture, 20, 90).shape == (20, 90, 3)
