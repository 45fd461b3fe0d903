"""Rounded logits keep the mask, and their memory follows its boundary."""

from __future__ import annotations

import torch

from stages.core.model.masks import enlarge_masks
from stages.core.model.object_tracks.maps import (
    LARGEST_LOGIT,
    LEVELS_PER_LOGIT,
    LogitMaps,
    quantise,
)
from stages.core.model.tracking.overlaps import MATCH_SIDE


def disc(side: int) -> torch.Tensor:
    """(1, s, s) logits of a disc, steep at its boundary as a decoder's are."""
    line = torch.arange(side) - side / 3
    distance = (line[:, None] ** 2 + line[None] ** 2).sqrt()
    return ((side / 5 - distance) * 4)[None]


def test_rounding_keeps_the_sign_of_every_logit() -> None:
    logits = torch.tensor([[[-30.0, -0.01, 0.0], [1e-4, 0.3, 30.0]]])
    levels = quantise(logits)
    assert levels.tolist() == [[[-32, -1, 0], [1, 2, 32]]]
    assert LEVELS_PER_LOGIT * LARGEST_LOGIT == 32


def test_masks_at_the_size_of_the_video_hardly_change() -> None:
    logits = disc(256)
    maps = LogitMaps(256)
    maps.put(3, quantise(logits)[0])
    exact = enlarge_masks(logits, 540, 960)
    rounded = enlarge_masks(maps.logits([3]), 540, 960)
    assert (exact ^ rounded).sum() <= 0.002 * exact.sum()


def test_of_two_maps_of_a_frame_the_union_is_kept() -> None:
    maps = LogitMaps(4)
    one, other = torch.full((1, 4, 4), -3.0), torch.full((1, 4, 4), -3.0)
    one[0, 0], other[0, 3] = 2, 5
    maps.put(1, quantise(one)[0])
    maps.put(1, quantise(other)[0])
    assert maps.logits([1])[0, :, 0].tolist() == [2, -3, -3, 5]


def test_a_frame_without_a_map_is_blank() -> None:
    maps = LogitMaps(4)
    maps.put(0, quantise(torch.full((1, 4, 4), -1024.0))[0])
    maps.put(2, quantise(torch.full((1, 4, 4), -1.0))[0])
    maps.put(5, quantise(torch.full((1, 4, 4), 1.0))[0])
    assert maps.visible == {5}
    assert maps.logits([0, 1, 2, 5])[:, 0, 0].tolist() == [-8, -8, -1, 1]


def test_large_maps_are_compared_at_a_lower_resolution() -> None:
    maps = LogitMaps(256)
    maps.put(0, quantise(disc(256))[0])
    small = maps.small_logits([0])
    assert small.shape == (1, MATCH_SIDE, MATCH_SIDE)
    share = (disc(256) > 0).float().mean()
    assert abs((small > 0).float().mean() - share) < 0.01


def test_a_map_takes_a_fiftieth_of_its_logits() -> None:
    maps = LogitMaps(256)
    for frame in range(4):
        maps.put(frame, quantise(disc(256))[0])
    assert sum(map(len, maps._kept.values())) < 4 * 256 * 256 * 4 / 50
