"""Own tracks: parts of masks become prompts, and the toy tracker finds each object once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from track_minis import sentence

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.preprocess import normalise
from stages.core.model.loading.hub import TOY_BACKBONE
from stages.core.model.object_tracks.candidates import best_frames, own_proposals
from stages.core.model.object_tracks.own import MapTracks, OwnTracker
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.tracking.sources import ClipFeatures

FRAMES, SIZE, SIDE = 8, 128, 32
PLACES = {"red": (16, 1, (230, 40, 40)), "blue": (80, -1, (40, 60, 230))}
"""Top, direction and colour of each square, which crosses the video."""


def left(name: str, frame: int) -> int:
    _, way, _ = PLACES[name]
    return 10 + 10 * frame if way > 0 else 90 - 10 * frame


def true_mask(name: str, frame: int, side: int) -> Tensor:
    """bool (side, side)."""
    scale = side / SIZE
    top = PLACES[name][0]
    mask = torch.zeros(side, side, dtype=torch.bool)
    x, y, width = (round(value * scale) for value in (left(name, frame), top, 28))
    mask[y : y + width, x : x + width] = True
    return mask


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(Path(TOY_BACKBONE)).eval()


@pytest.fixture(scope="module")
def source(backbone: Backbone) -> ClipFeatures:
    """Two squares on grey noise."""
    torch.set_num_threads(1)
    noise = np.random.default_rng(0).integers(90, 130, (SIZE, SIZE, 1), np.uint8)
    video = np.repeat(np.repeat(noise, 3, axis=2)[None], FRAMES, axis=0)
    for name, (_, _, colour) in PLACES.items():
        for frame in range(FRAMES):
            video[frame][true_mask(name, frame, SIZE).numpy()] = colour
    pixels = torch.from_numpy(video).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return ClipFeatures(
            backbone.encode(normalise(pixels, backbone.pixel_mean, backbone.pixel_std))
        )


def of(name: str, guided: list[int]) -> SentenceMasks:
    """A sentence whose masks are true in its guided frames and missing elsewhere."""
    return sentence({f: true_mask(name, f, SIDE) for f in guided}, guided, FRAMES)


def both(guided: list[int]) -> SentenceMasks:
    shown = {f: true_mask("red", f, SIDE) | true_mask("blue", f, SIDE) for f in guided}
    return sentence(shown, guided, FRAMES)


def overlaps(tracks: MapTracks) -> np.ndarray:
    """IoU over the video of each track with each square."""
    bits = [tracks.full(frame, range(len(tracks.maps))) for frame in range(FRAMES)]
    found = np.unpackbits(np.stack(bits, axis=1), axis=-1, count=SIZE).view(bool)
    true = [np.stack([true_mask(name, f, SIZE).numpy() for f in range(FRAMES)]) for name in PLACES]
    return np.array([[(one & t).sum() / (one | t).sum() for t in true] for one in found])


def find(
    backbone: Backbone, source: ClipFeatures, sentences: list[SentenceMasks], most: int = 9
) -> tuple[MapTracks, dict[str, int]]:
    maps, counts = OwnTracker(backbone, 4, most).find(source, sentences)
    names = [str(number) for number in range(len(maps))]
    tracks = MapTracks(names, maps, (SIZE, SIZE), torch.device("cpu"))
    return tracks, vars(counts)


def test_equal_parts_of_several_sentences_are_one_proposal(
    backbone: Backbone, source: ClipFeatures
) -> None:
    sentences = [of("red", [2]), both([2]), of("blue", [5])]
    found = own_proposals(backbone, source, sentences, 4)
    named = sorted((proposal.frame, sorted(proposal.rows)) for proposal in found)
    assert named == [(2, [0, 1]), (2, [1]), (5, [2])]
    red = next(proposal for proposal in found if len(proposal.rows) == 2)
    mask = torch.nonzero(true_mask("red", 2, SIDE))
    corners = [*mask.amin(dim=0).flip(0).tolist(), *(mask.amax(dim=0).flip(0) + 1).tolist()]
    assert red.prompt.boxes is not None
    assert red.prompt.boxes.tolist() == [[SIZE / SIDE * corner for corner in corners]]


def test_each_object_is_tracked_once_over_the_whole_video(
    backbone: Backbone, source: ClipFeatures
) -> None:
    """One sentence shows the first square at the start, another at the end, a third one both."""
    sentences = [of("red", [0, 1]), of("red", [6, 7]), both([3, 4])]
    tracks, counts = find(backbone, source, sentences)
    iou = overlaps(tracks)
    assert len(iou) == 2
    assert sorted(iou.argmax(axis=1)) == [0, 1]
    assert iou.max(axis=1).min() > 0.6
    assert counts["tracks"] == 2
    assert counts["left"] == 0
    assert counts["started"] < 8  # of eight proposals
    assert all(tracks.visible(n) == FRAMES for n in range(2))


def test_the_limit_leaves_objects_out(backbone: Backbone, source: ClipFeatures) -> None:
    _, counts = find(backbone, source, [both([3, 4])], most=1)
    assert (counts["started"], counts["tracks"]) == (1, 1)
    assert counts["left"] >= 1


def test_without_guided_masks_there_are_no_tracks(backbone: Backbone, source: ClipFeatures) -> None:
    empty = sentence({2: torch.zeros(SIDE, SIDE, dtype=torch.bool)}, [2], FRAMES)
    unguided = sentence({2: true_mask("red", 2, SIDE)}, [], FRAMES)
    maps, counts = OwnTracker(backbone, 4, 9).find(source, [empty, unguided])
    assert (maps, counts.tracks, counts.started) == ([], 0, 0)


def test_the_searched_frames_are_the_surest_of_equal_parts() -> None:
    one, none = of("red", [0, 1, 2, 3, 6, 7]), sentence({0: true_mask("red", 0, SIDE)}, [], FRAMES)
    one.scores[:] = [0, 1, 5, 1.5, 9, 9, 1, 3]
    alone = one.guided.astype(int)
    assert best_frames(one, 2, alone) == [2, 7]
    assert best_frames(one, 9, alone) == [0, 1, 2, 3, 6, 7]
    assert best_frames(none, 2, alone) == []


def test_of_frames_that_are_nearly_as_sure_the_one_of_most_sentences_is_searched() -> None:
    one = of("red", [0, 1, 2, 3])
    one.scores[:4] = [4.0, 4.6, 3.0, 4.5]
    assert best_frames(one, 1, np.array([2, 1, 9, 3, 9, 9, 9, 9])) == [3]


def test_specks_of_a_mask_are_no_objects(backbone: Backbone, source: ClipFeatures) -> None:
    mask = true_mask("red", 2, SIDE)
    mask[28, 1:4] = True  # three pixels
    found = own_proposals(backbone, source, [sentence({2: mask}, [2], FRAMES)], 4)
    assert len(found) == 1
