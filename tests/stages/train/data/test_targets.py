"""Object-level selective supervision against a table made by hand, and masks at clip size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.train.data.targets import relevant_frames, target_referents, union_mask

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


def test_the_union_joins_masks() -> None:
    first, second = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    first[0, 0] = second[5, 7] = 1
    merged = union_mask([first, second], 12)
    assert merged.shape == (12, 12)
    assert merged[0, 0] == merged[11, 11] == 1


def test_no_mask_is_empty() -> None:
    assert not union_mask([], 5).any()
    assert not union_mask([np.zeros((9, 9), np.uint8)], 5).any()


def test_the_same_size_is_exact() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(np.uint8)
    assert (union_mask([mask], 16) == mask).all()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_resizing_keeps_what_a_plain_average_says(h: int, w: int, size: int, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((h, w)) < 0.3).astype(np.uint8)
    got = union_mask([mask], size)
    assert got.shape == (size, size)
    assert got.any() == mask.any()
    if mask.any() and (h, w) != (size, size):
        large = np.repeat(np.repeat(mask, size, 0), size, 1)  # each pixel size x size
        share = large.reshape(size, h, size, w).mean((1, 3))
        clear = np.abs(share - min(0.5, share.max())) > 1e-4
        assert (got == (share >= min(0.5, share.max())))[clear].all()
