"""One-frame videos as clips: views of one image, and masks that stay on their objects."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from train_mini import SIZE, VIDEO_IDS, small, square

from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.data.stills import LARGEST_SHIFT, LARGEST_TURN, LARGEST_ZOOM, Drift
from stages.train.data.targets import FULL

MANY = 32
T = 6


def samples(inputs: TrainInputs, stills: Path, **changes: object) -> list[Sample]:
    config = small(clip_frames=T, **changes)
    data = ClipDataset(stills, inputs.text, config, size=SIZE)
    return [data[number] for number in range(MANY)]


def drift(seed: int, height: int = SIZE, width: int = SIZE, frames: int = T) -> Drift:
    return Drift.draw(frames, height, width, np.random.default_rng(seed))


def test_masks_move_with_their_objects() -> None:
    """A white rectangle on black: its view, thresholded, is the mask's view."""
    image = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)
    image[..., 20:44, 16:50] = 255
    mask = (image[:, 0] > 0).to(torch.uint8)
    centres = []
    for seed in range(20):
        seen = drift(seed).masks(mask)
        shown = drift(seed).frames(image)
        assert shown.shape == (T, 3, SIZE, SIZE)
        assert shown.dtype == seen.dtype == torch.uint8
        assert ((shown[:, 0] >= 128) == seen.bool()).all()
        centres += [tuple(mask.nonzero().float().mean(0).tolist()) for mask in seen]
    assert len(set(centres)) > 100


def test_views_stay_within_the_limits_and_keep_shapes() -> None:
    """In pixels of the image, a view is a turn and one zoom for both directions."""
    height, width = 30, 80
    for seed in range(50):
        maps = drift(seed, height, width).maps.double().numpy()
        to_pixels = np.diag([width / 2, height / 2])
        for found in maps:
            inner = to_pixels @ found[:, :2] @ np.linalg.inv(to_pixels)
            zoom = np.sqrt(np.linalg.det(inner))
            assert np.allclose(inner @ inner.T, zoom**2 * np.eye(2), atol=1e-6)
            assert abs(zoom - 1) <= LARGEST_ZOOM + 1e-6
            assert abs(np.arctan2(inner[1, 0], inner[0, 0])) <= LARGEST_TURN + 1e-6
            assert (abs(found[:, 2]) <= 2 * LARGEST_SHIFT + 1e-6).all()


def test_the_camera_moves_steadily() -> None:
    for seed in range(10):
        offsets = drift(seed).maps[:, :, 2]
        steps = offsets.diff(dim=0)
        assert torch.allclose(steps, steps[:1].expand_as(steps), atol=1e-6)
        assert steps.abs().max() > 0


def test_a_single_view_is_drawn_too() -> None:
    assert drift(0, frames=1).maps.shape == (1, 2, 3)
    assert torch.equal(drift(0, frames=1).maps[0], drift(0).maps[0])


@pytest.mark.parametrize("place", [(0, 0), (31, 40), (63, 63)])
def test_a_small_object_is_seen_whole_or_not_at_all(place: tuple[int, int]) -> None:
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    mask[0, place[0], place[1]] = 1
    sizes = [int(seen.sum()) for seed in range(20) for seen in drift(seed).masks(mask)]
    assert set(sizes) <= {0, 1, 2, 3, 4}
    assert any(sizes)
    if place == (31, 40):
        assert all(sizes)


def test_an_empty_mask_stays_empty() -> None:
    assert not drift(0).masks(torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)).any()


def test_a_still_is_a_clip_in_time_and_all_of_it_is_relevant(
    inputs: TrainInputs, stills: Path
) -> None:
    for sample in samples(inputs, stills):
        assert sample.still
        assert sample.frames.tolist() == [0] * T
        assert sample.times.tolist() == list(range(T))
        if sample.expression_id == "2":  # without target
            assert not sample.relevant.any()
            assert not sample.targets.any()
            assert sample.guided.any()
        else:
            assert sample.relevant.all()
            assert sample.guided.all()
            assert sample.targets.flatten(1).any(dim=1).all()


def test_repeated_stills_are_one_image(inputs: TrainInputs, stills: Path) -> None:
    for sample in samples(inputs, stills, still="repeat", flip=0.0):
        assert sample.pixels is not None
        assert (sample.pixels == sample.pixels[:1]).all()
        annos = {"0": "abc", "1": "a", "2": "", "3": "b"}[sample.expression_id]
        truth = np.maximum.reduce(
            [np.zeros((SIZE, SIZE), np.uint8), *(square("abc".index(anno), 0) for anno in annos)]
        )
        assert (sample.targets.numpy() == FULL * truth).all()


def test_shifted_stills_are_another_clip_each_time(inputs: TrainInputs, stills: Path) -> None:
    taken = samples(inputs, stills)
    first = [s for s in taken if (s.video_id, s.expression_id) == (VIDEO_IDS[0], "3")]
    assert len(first) >= 3
    for one, two in pairwise(first):
        assert not torch.equal(one.pixels, two.pixels)
    for sample in taken:
        assert not torch.equal(sample.pixels[0], sample.pixels[-1])


def test_a_mirrored_still_is_the_mirror_of_all_its_views(inputs: TrainInputs, stills: Path) -> None:
    mirrored, plain = samples(inputs, stills, flip=1.0), samples(inputs, stills, flip=0.0)
    assert any(sample.flipped for sample in mirrored)
    for one, two in zip(mirrored, plain, strict=True):
        if one.flipped:
            assert torch.equal(one.pixels, two.pixels.flip(-1))
            assert torch.equal(one.targets, two.targets.flip(-1))


def test_videos_are_no_stills(inputs: TrainInputs) -> None:
    data = ClipDataset(inputs.index, inputs.text, small(), size=SIZE)
    other = ClipDataset(inputs.index, inputs.text, small(still="repeat"), size=SIZE)
    for number in range(8):
        assert not data[number].still
        assert (
            data[number].times is data[number].frames
            or (data[number].times == data[number].frames).all()
        )
        assert torch.equal(data[number].pixels, other[number].pixels)
