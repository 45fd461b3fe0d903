"""Segmentations: masks survive the round trip, outlines fill what they enclose, damage is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.datasets.documents.coco_masks import read_segmentation
from stages.core.media.rle import decode

HEIGHT, WIDTH = 10, 14
MASKS = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))
)
BOXES = st.tuples(
    st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 9), st.integers(1, 9)
)


def _runs(mask: np.ndarray) -> list[int]:
    flat = np.concatenate(([0], mask.flatten(order="F"), [2]))
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate(([0], edges))).tolist()


@given(MASKS)
def test_masks_survive_the_round_trip(mask: np.ndarray) -> None:
    packed = coco.encode(np.asfortranarray(mask))
    size = [int(n) for n in mask.shape]
    for counts in (packed["counts"].decode(), _runs(mask)):
        found = read_segmentation({"size": size, "counts": counts}, 1, 1, where="x")
        assert np.array_equal(decode(found, where="x"), mask)


@given(st.lists(BOXES, min_size=1, max_size=4))
def test_outlines_fill_the_pixels_that_they_enclose(boxes: list[tuple[int, ...]]) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    outlines = []
    for x, y, width, height in boxes:
        right, below = min(x + width, WIDTH), min(y + height, HEIGHT)
        mask[y:below, x:right] = 1
        outlines.append([x, y, right, float(y), right, below, x, below])
    found = read_segmentation(outlines, HEIGHT, WIDTH, where="x")
    assert np.array_equal(decode(found, where="x"), mask)


def test_outlines_without_area_are_nothing() -> None:
    for value in ([], [[]], [[1, 2]], [[0, 0, 5, 5]]):
        assert not decode(read_segmentation(value, HEIGHT, WIDTH, where="x"), where="x").any()
    square = [2, 1, 6, 1, 6, 5, 2, 5]
    found = decode(read_segmentation([[0, 0, 9, 9], square], HEIGHT, WIDTH, where="x"), where="x")
    assert found.sum() == 16
    assert found[1:5, 2:6].all()


def test_corners_may_lie_a_little_outside() -> None:
    outline = [-0.5, -0.5, WIDTH + 0.5, -0.5, WIDTH + 0.5, HEIGHT + 0.5, -0.5, HEIGHT + 0.5]
    found = read_segmentation([outline], HEIGHT, WIDTH, where="x")
    assert decode(found, where="x").all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "neither outlines nor an RLE"),
        ("7", "neither outlines nor an RLE"),
        ([1, 2, 3, 4, 5, 6], "not a list of x and y"),
        ([{"size": [10, 14], "counts": "P"}], "not a list of x and y"),
        ([[1, 2, 3, 4, 5]], "not a list of x and y"),
        ([[1, 2, "3", 4, 5, 6]], "not a list of x and y"),
        ([[1, 2, True, 4, 5, 6]], "not a list of x and y"),
        ([[1, 2, [3], 4, 5, 6]], "not a list of x and y"),
        ([[1, 2, float("nan"), 4, 5, 6]], "leaves its image of 14x10"),
        ([[1, 2, float("inf"), 4, 5, 6]], "leaves its image of 14x10"),
        ([[1, 2, 2.0**40, 4, 5, 6]], "leaves its image of 14x10"),
        ([[1, 2, 10**400, 4, 5, 6]], "leaves its image of 14x10"),
        ([[1, 2, -15, 4, 5, 6]], "leaves its image of 14x10"),
        ([[0, 0, 14, 10] * 5000], "too long for their image"),
        ([[0, 0, 14, 0, 14, 10]] * 200, "too long for their image"),
        ({"counts": "P"}, "size is not"),
        ({"size": [10, 14], "counts": "a"}, "RLE"),
        ({"size": [10, 14], "counts": [1, 2]}, "do not fill"),
    ],
)
def test_damaged_segmentations(value: object, words: str) -> None:
    with pytest.raises(CorruptInput, match=f"^annotation 7.*{words}"):
        read_segmentation(value, HEIGHT, WIDTH, where="annotation 7")
