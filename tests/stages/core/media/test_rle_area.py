"""Areas from run lengths against sums over pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import CorruptInput
from stages.core.media.rle import Rle, encode
from stages.core.media.rle_area import covered_area


@settings(deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 30),
    st.lists(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]), min_size=1, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_areas_are_sums_over_pixels(
    height: int, width: int, side: int, densities: list[float], seed: int
) -> None:
    """For any ratio of the sides, enlarged ones too, and for masks that overlap."""
    rng = np.random.default_rng(seed)
    masks = [(rng.random((height, width)) < density).astype(np.uint8) for density in densities]
    large = np.repeat(np.repeat(np.maximum.reduce(masks), side, 0), side, 1)
    expected = large.reshape(side, height, side, width).sum((1, 3))
    found = covered_area([encode(mask) for mask in masks], side, where="here")
    assert found.whole == height * width
    assert (found.areas == expected).all()


def test_shares_round_to_the_nearest_step() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:4, :4] = 1
    mask[0, 4:7] = 1
    found = covered_area([encode(mask)], 2, where="here")
    assert found.areas.tolist() == [[64, 12], [0, 0]]
    assert found.rounded(8).tolist() == [[8, 2], [0, 0]]  # 3 / 16 of 8 steps is 1.5
    assert found.rounded(240).tolist() == [[240, 45], [0, 0]]


def test_the_best_cell_of_a_mask_is_never_lost() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[40, 20] = 1
    found = covered_area([encode(mask)], 2, where="here")
    assert found.rounded(10).tolist() == [[0, 0], [1, 0]]
    assert found.at_least(Fraction(1, 2)).tolist() == [[0, 0], [1, 0]]


def test_empty_runs_between_others_change_nothing() -> None:
    """Some programs write runs of no pixels."""
    plain, padded = Rle(size=[4, 2], counts=b"242"), Rle(size=[4, 2], counts=b"22002")
    expected = covered_area([plain], 3, where="here").areas
    assert expected.any()
    assert (covered_area([padded], 3, where="here").areas == expected).all()


def test_nothing_covers_nothing() -> None:
    assert not covered_area([], 4, where="here").rounded(240).any()
    empty = encode(np.zeros((5, 7), np.uint8))
    for found in (covered_area([empty], 4, where="here"), covered_area([], 4, where="here")):
        assert not found.at_least(Fraction(1, 2)).any()


@pytest.mark.parametrize(
    "masks",
    [
        [Rle(size=[4, 4], counts=b"\x30")],
        [Rle(size=[4, 4], counts=b"PPPP")],
        [encode(np.zeros((4, 4), np.uint8)), encode(np.zeros((4, 5), np.uint8))],
    ],
)
def test_faulty_masks_are_refused_with_their_place(masks: list[Rle]) -> None:
    with pytest.raises(CorruptInput, match="frame 7"):
        covered_area(masks, 4, where="frame 7")
