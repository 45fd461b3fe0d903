"""Masks over frames: the colour of every pixel."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from stages.core.media.palette import AGREEMENT, EXTRA, MISSED, OUTLINE
from stages.tools.render.painting.mask_layers import (
    MaskLayer,
    blend_layers,
    comparison_layers,
    dilate,
    line_width,
    resize_image,
    resize_mask,
)

SIZE = 60
GREY = 128


def box(top: int, bottom: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[top:bottom, 10:50] = True
    return mask


def ground() -> np.ndarray:
    return np.full((SIZE, SIZE, 3), GREY, dtype=np.uint8)


def test_comparison_splits_the_union_in_three() -> None:
    agreement, missed, extra = comparison_layers(box(10, 40), box(20, 50))
    assert (agreement.mask == box(20, 40)).all()
    assert (missed.mask == box(40, 50)).all()
    assert (extra.mask == box(10, 20)).all()
    assert [x.colour for x in (agreement, missed, extra)] == [AGREEMENT, MISSED, EXTRA]
    assert [x.hatched for x in (agreement, missed, extra)] == [False, True, False]


def test_full_opacity_paints_the_exact_colours() -> None:
    image = blend_layers(ground(), comparison_layers(box(10, 40), box(20, 50)), 1.0)
    assert tuple(image[30, 30]) == AGREEMENT
    assert tuple(image[15, 30]) == EXTRA
    assert tuple(image[20, 30]) == OUTLINE  # the edge of the agreement
    assert tuple(image[49, 30]) == MISSED  # the edge of the missed region
    inside = image[42:48, 12:48].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) == 2  # stripes


def test_opacity_zero_draws_outlines_only() -> None:
    image = blend_layers(ground(), [MaskLayer(box(10, 40), EXTRA)], 0.0)
    assert tuple(image[10, 30]) == EXTRA
    assert tuple(image[25, 30]) == (GREY, GREY, GREY)


def test_a_dark_rim_lies_around_and_the_rest_is_untouched() -> None:
    image = blend_layers(ground(), [MaskLayer(box(10, 40), EXTRA)], 0.5)
    assert image[9, 30].max() < GREY / 2
    assert (image[:9] == GREY).all()


def test_dim_fades_everything_without_any_mask() -> None:
    colourful = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    colourful[..., 0] = 200
    plain = blend_layers(colourful, [MaskLayer(np.zeros((SIZE, SIZE), bool), EXTRA)], 0.5)
    dimmed = blend_layers(
        colourful, [MaskLayer(np.zeros((SIZE, SIZE), bool), EXTRA)], 0.5, dim=True
    )
    assert (plain == colourful).all()
    assert dimmed[0, 0, 0] < 200
    assert dimmed[0, 0, 1] > 0


def test_an_overlap_is_striped_in_the_colours_of_all_its_layers() -> None:
    colours = [(200, 0, 0), (0, 0, 200), (0, 200, 0)]
    layers = [MaskLayer(box(10, 40), colour) for colour in colours]
    along = blend_layers(ground(), layers, 1.0)[25, 14:36]
    runs = [tuple(colour) for colour, _ in groupby(map(tuple, along.tolist()))]
    assert set(runs) == set(colours)
    assert all(runs.count(colour) >= 2 for colour in colours[:2])
    pair = blend_layers(
        ground(), [MaskLayer(box(10, 40), EXTRA), MaskLayer(box(30, 50), AGREEMENT)], 1.0
    )
    assert tuple(pair[20, 20]) == EXTRA  # alone
    assert {tuple(pixel) for pixel in pair[32:38, 20]} == {EXTRA, AGREEMENT}


def test_outlines_lie_above_every_fill() -> None:
    large, small = MaskLayer(box(5, 45), EXTRA), MaskLayer(box(15, 35), AGREEMENT)
    for layers in ([large, small], [small, large]):
        painted = blend_layers(ground(), layers, 1.0)
        assert (painted[15, 12:48] == AGREEMENT).all()
        assert (painted[5, 10:50] == EXTRA).all()


def test_equal_outlines_show_both_colours() -> None:
    one, two = MaskLayer(box(10, 40), EXTRA), MaskLayer(box(10, 40), AGREEMENT)
    edge = blend_layers(ground(), [one, two], 0.5)[10, 10:50]
    assert {tuple(pixel) for pixel in edge} == {EXTRA, AGREEMENT}


def test_dilation_is_a_diamond() -> None:
    point = np.zeros((9, 9), dtype=bool)
    point[4, 4] = True
    rows, columns = np.nonzero(dilate(point, 3))
    assert (np.abs(rows - 4) + np.abs(columns - 4)).max() == 3
    assert len(rows) == 25


@pytest.mark.parametrize(("side", "line"), [(1, 1), (128, 1), (256, 2), (720, 4)])
def test_lines_grow_with_the_image(side: int, line: int) -> None:
    assert line_width(side, 2 * side) == line


def test_resizing_keeps_shares_and_does_nothing_at_the_same_size() -> None:
    mask = box(10, 40)
    assert resize_mask(mask, SIZE, SIZE) is mask
    large = resize_mask(mask, 3 * SIZE, 3 * SIZE)
    assert large.dtype == bool
    assert large.mean() == pytest.approx(mask.mean(), abs=0.01)
    image = ground()
    assert resize_image(image, SIZE, SIZE) is image
    assert resize_image(image, 20, 90).shape == (20, 90, 3)
