"""Object-level selective supervision against a table made by hand, and masks at clip size."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.media.rle import encode
from stages.core.model.masks import resize_masks
from stages.train.data.targets import (
    FULL,
    fractions,
    relevant_frames,
    shares_of_masks,
    target_referents,
    target_side,
    union_mask,
    union_share,
)

# Three referents of one sentence: a in [1, 4), b in [6, 8), c in [2, 3) and [9, 10).
MOMENTS = {"a": [(1, 4)], "b": [(6, 8)], "c": [(2, 3), (9, 10)]}

# frames of the clip, A_c, M+ among them
HAND_MADE = [
    ([0, 1, 4, 5], ("a",), [False, True, False, False]),
    ([2, 3, 5, 8], ("a", "c"), [True, True, False, False]),
    ([3, 4, 6, 8], ("a", "b"), [True, False, True, False]),
    ([5, 7, 8, 9], ("b", "c"), [False, True, False, True]),
    ([1, 2, 6, 9], ("a", "b", "c"), [True, True, True, True]),
    ([0, 4, 5, 8], (), [False, False, False, False]),
]


@pytest.mark.parametrize(("frames", "expected", "inside"), HAND_MADE)
def test_targets_are_the_referents_whose_span_the_clip_meets(
    frames: list[int], expected: tuple[str, ...], inside: list[bool]
) -> None:
    clip = np.array(frames)
    assert target_referents(("a", "b", "c"), MOMENTS, clip, oss=True) == expected
    assert relevant_frames(MOMENTS, clip).tolist() == inside


@pytest.mark.parametrize("frames", [row[0] for row in HAND_MADE])
def test_without_oss_every_referent_is_a_target(frames: list[int]) -> None:
    assert target_referents(("a", "b", "c"), MOMENTS, np.array(frames), oss=False) == (
        "a",
        "b",
        "c",
    )


def test_a_span_of_all_referents_counts_for_each() -> None:
    moments = {None: [(3, 5)], "a": [(7, 8)]}
    assert target_referents(("a", "b"), moments, np.array([0, 4]), oss=True) == ("a", "b")
    assert target_referents(("a", "b"), moments, np.array([0, 7]), oss=True) == ("a",)


def union(masks: Sequence[np.ndarray], side: int) -> np.ndarray:
    return union_mask([encode(mask) for mask in masks], side, where="here")


def shares(masks: Sequence[np.ndarray], side: int) -> np.ndarray:
    return union_share([encode(mask) for mask in masks], side, where="here")


def test_the_union_joins_masks() -> None:
    first, second = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    first[0, 0] = second[5, 7] = 1
    merged = union([first, second], 12)
    assert merged.shape == (12, 12)
    assert merged[0, 0] == merged[11, 11] == 1


def test_no_mask_is_empty() -> None:
    for resized in (union, shares):
        assert not resized([], 5).any()
        assert not resized([np.zeros((9, 9), np.uint8)], 5).any()


def test_the_same_size_is_exact() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(np.uint8)
    assert (union([mask], 16) == mask).all()
    assert (shares([mask], 16) == FULL * mask).all()


@settings(deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_binary_masks_have_the_pixels_that_are_half_covered(
    h: int, w: int, size: int, seed: int
) -> None:
    mask = (np.random.default_rng(seed).random((h, w)) < 0.3).astype(np.uint8)
    share = plain_average(mask, size)
    expected = (share >= min(0.5, share.max())) & (share > 0)
    assert (union([mask], size) == expected).all()


@pytest.mark.parametrize("quarter", [1, 2, 4])
def test_masks_of_the_image_s_size_lose_nothing(quarter: int) -> None:
    """The decoder's masks have a quarter of the image's side: the losses see the same numbers."""
    mask = np.random.default_rng(1).integers(0, 2, (64, 64)).astype(np.uint8)
    exact = resize_masks(torch.from_numpy(mask)[None, None], 64 // quarter)
    assert torch.equal(fractions(torch.from_numpy(shares([mask], 64 // quarter))), exact[0, 0])


def test_a_pixel_in_a_large_frame_stays_visible() -> None:
    """One pixel of 1080p is a 32nd of a pixel at 256; of 8K at 64, too little for eight bits."""
    for height, width, side in ((1080, 1920, 256), (4320, 7680, 64)):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 3, width // 3] = 1
        small = shares([mask], side)
        share = side * side / (height * width)
        assert small.any()
        assert small.sum() == max(1, round(FULL * share))


@pytest.mark.parametrize("side", [8, 16])
def test_views_of_masks_are_resized_alike(side: int) -> None:
    masks = np.random.default_rng(2).integers(0, 2, (3, 32, 32)).astype(np.uint8)
    masks[2] = 0
    expected = np.stack([shares([mask], side) for mask in masks])
    assert (shares_of_masks(torch.from_numpy(masks), side).numpy() == expected).all()


def test_the_side_of_targets_is_divided_by_what_is_compared() -> None:
    assert target_side(0, 256, 64, 1024) == 256
    assert target_side(512, 256, 64, 1024) == 512
    assert target_side(128, 256, 64, 1024) == 256
    assert target_side(300, 256, 64, 1024) == 1024
    assert target_side(0, 288, 72, 1008) == 288


def plain_average(mask: np.ndarray, size: int) -> np.ndarray:
    """The mean over each cell, of a mask whose pixels are enlarged to size x size."""
    h, w = mask.shape
    large = np.repeat(np.repeat(mask, size, 0), size, 1)
    return large.reshape(size, h, size, w).mean((1, 3))
