"""Masks resized and compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.core.media.mask_bits import unpack_mask
from stages.core.model.masks import (
    enlarge_masks,
    mask_iou,
    pack_bits,
    packed_masks,
    resize_masks,
)

SIDE = 8


def test_iou_counts_pixels_and_both_empty_is_one() -> None:
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    masks[0, : SIDE // 2] = True
    truth = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    truth[:, : SIDE // 2] = True  # the left half against the upper one
    assert mask_iou(masks, truth).tolist() == [pytest.approx(1 / 3), 0.0, 0.0]
    assert mask_iou(masks, torch.zeros_like(truth)).tolist() == [0.0, 1.0, 1.0]


def test_masks_of_any_size_become_shares() -> None:
    large = torch.zeros(1, 1, 16, 32, dtype=torch.bool)
    large[..., :8, :2] = True
    small = resize_masks(large, SIDE)
    assert float(small[0, 0, 0, 0]) == pytest.approx(0.5)
    assert float(small.sum()) == pytest.approx(4 * 0.5)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 33, 64])
def test_bits_are_packed_as_by_numpy(width: int) -> None:
    masks = torch.rand(2, 3, width, generator=torch.Generator().manual_seed(width)) > 0.5
    assert np.array_equal(pack_bits(masks).numpy(), np.packbits(masks.numpy(), axis=-1))


def test_masks_are_enlarged_gated_counted_and_packed_equally_everywhere() -> None:
    logits = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    shown = torch.tensor([True, False, True])
    expected = enlarge_masks(logits, 21, 37) & shown[:, None, None]
    for on_gpu in (False, True):
        bits, areas = packed_masks(logits, 21, 37, shown=shown, on_gpu=on_gpu)
        assert areas.tolist() == expected.flatten(1).sum(dim=1).tolist()
        assert areas[1] == 0 < areas[0]
        for own, mask in zip(bits.numpy(), expected.numpy(), strict=True):
            assert np.array_equal(unpack_mask(own, 37), mask)
