"""The look of tracks: frozen features inside them and their outline."""

import pytest
import torch

from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.track_head.look import (
    LOOK_FRAMES,
    OUTLINE_SIDE,
    look_frames,
    look_width,
    outlines,
    track_looks,
)

CHANNELS, PLACES, SIDE = 16, 4, 16


def features(frames: int) -> FrameFeatures:
    torch.manual_seed(0)
    return FrameFeatures(
        fine=torch.randn(frames, CHANNELS // 8, 4 * PLACES, 4 * PLACES),
        middle=torch.randn(frames, CHANNELS // 4, 2 * PLACES, 2 * PLACES),
        coarse=torch.randn(frames, CHANNELS, PLACES, PLACES),
        position=torch.zeros(1, CHANNELS, PLACES, PLACES),
    )


def square(left: int, top: int, size: int = 4) -> torch.Tensor:
    mask = torch.zeros(SIDE, SIDE)
    mask[top : top + size, left : left + size] = 1
    return mask


def test_a_look_is_the_mean_over_the_frames_that_show_the_track() -> None:
    given = features(3)
    masks = torch.stack([square(0, 0), square(4, 0), torch.zeros(SIDE, SIDE)])[None]
    found = track_looks(given.__getitem__, lambda frames: masks[:, list(frames)], 3, chunk=2)
    assert found.shape == (1, look_width(CHANNELS))
    expected = (given.coarse[0, :, 0, 0] + given.coarse[1, :, 0, 1]) / 2
    assert torch.allclose(found[0, :CHANNELS], expected, atol=1e-5)


def test_a_track_that_is_never_visible_has_no_look() -> None:
    given = features(2)
    masks = torch.zeros(1, 2, SIDE, SIDE)
    assert (track_looks(given.__getitem__, lambda f: masks[:, list(f)], 2) == 0).all()


def test_an_outline_does_not_depend_on_place_and_size() -> None:
    shape = torch.zeros(SIDE, SIDE)
    shape[0:8, 0:4] = 1  # an L
    shape[4:8, 4:8] = 1
    moved = shape.roll((8, 8), dims=(0, 1))
    small = torch.nn.functional.avg_pool2d(shape[None], 2)[0]
    smaller = torch.zeros(SIDE, SIDE)
    smaller[2:10, 3:11] = small
    here, there, less = outlines(torch.stack([shape, moved, smaller]))
    assert here.shape == (OUTLINE_SIDE**2,)
    assert torch.allclose(here, there, atol=1e-5)
    assert ((here > 0.5) == (less > 0.5)).float().mean() >= 0.95
    ring = square(4, 4, 8) - square(6, 6, 4)
    assert ((outlines(ring[None])[0] > 0.5) != (outlines(square(4, 4, 8)[None])[0] > 0.5)).any()


def test_an_empty_mask_has_an_empty_outline() -> None:
    assert (outlines(torch.zeros(2, SIDE, SIDE)) == 0).all()


@pytest.mark.parametrize("total", [1, 5, LOOK_FRAMES, 1000])
def test_frames_are_spread_over_the_video(total: int) -> None:
    frames = look_frames(total)
    assert frames == sorted(set(frames))
    assert len(frames) == min(total, LOOK_FRAMES)
    assert (frames[0], frames[-1]) == (0, total - 1)
