"""Place, size and shape of tracks, and their changes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.model.track_head.geometry import (
    GEOMETRY_WIDTH,
    STATIC,
    measure_tracks,
    track_geometry,
)

SIDE, FRAMES = 16, 6


def square(left: int, top: int, size: int = 4) -> torch.Tensor:
    mask = torch.zeros(SIDE, SIDE)
    mask[top : top + size, left : left + size] = 1
    return mask


def geometry_of(frames: list[torch.Tensor]) -> torch.Tensor:
    return track_geometry(measure_tracks(torch.stack(frames)[None]))[0]


def test_a_resting_track_changes_nothing() -> None:
    found = geometry_of([square(3, 5)] * FRAMES)
    changes = found[:, STATIC:].unflatten(1, (-1, 4))
    assert found.shape == (FRAMES, GEOMETRY_WIDTH)
    assert found[:, 0].tolist() == [1] * FRAMES
    assert changes[..., :3].abs().max() <= 1e-5
    assert (changes[..., 3] == 1).all()


def test_a_track_that_moves_right_has_opposite_changes_backwards_and_forwards() -> None:
    found = geometry_of([square(2 * frame, 5) for frame in range(FRAMES)])
    before, after = found[2, STATIC : STATIC + 3], found[2, STATIC + 4 : STATIC + 7]
    assert before[0] > 0.5
    assert torch.allclose(before[0], -after[0], atol=1e-5)
    assert before[1:].abs().max() <= 1e-5


def test_where_a_track_is_does_not_matter() -> None:
    here = geometry_of([square(1 + frame, 4) for frame in range(FRAMES)])
    there = geometry_of([square(5 + frame, 8) for frame in range(FRAMES)])
    assert torch.allclose(here, there, atol=1e-4)


def test_a_frame_without_the_track_is_all_zero_and_compared_with_nothing() -> None:
    frames = [square(3, 5)] * FRAMES
    frames[3] = torch.zeros(SIDE, SIDE)
    found = geometry_of(frames)
    assert (found[3] == 0).all()
    assert (found[2, STATIC + 4 : STATIC + 8] == 0).all()  # compared with frame 3


def test_shape_and_border() -> None:
    wide, high = torch.zeros(SIDE, SIDE), torch.zeros(SIDE, SIDE)
    wide[4:6, 2:12] = 1
    high[2:12, 4:6] = 1
    found = geometry_of([wide, high, square(0, 5)])
    assert found[0, 2] > 0 > found[1, 2]
    assert torch.isclose(found[0, 2], -found[1, 2], atol=1e-4)
    assert found[0, 1] == 0
    assert found[2, 1] == 4 / SIDE


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**16))
def test_numbers_are_finite_for_any_masks(frames: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(2, frames, SIDE, SIDE, generator=generator)
    masks[0] *= (torch.rand(frames, 1, 1, generator=generator) > 0.5).float()
    assert torch.isfinite(track_geometry(measure_tracks(masks))).all()
