"""Tracks that the head learns from, and what is true of them."""

import numpy as np
import pytest
import torch
from train_mini import FRAMES, SPANS

from stages.core.index.index import Index
from stages.train.config import TrainInputs
from stages.train.track_head.examples import (
    SAME_OBJECT,
    LabelledTracks,
    TrueTracks,
    as_they_are,
    labels,
    true_tracks,
    with_faults,
)

SIDE = 16


@pytest.fixture
def index(inputs: TrainInputs) -> Index:
    return Index.open(inputs.index)


def truth_of(index: Index, frames: np.ndarray) -> TrueTracks:
    return true_tracks(index, index.videos["one"], frames, SIDE, np.random.default_rng(0))


def test_true_tracks_are_the_objects_of_all_sentences(index: Index) -> None:
    truth = truth_of(index, np.arange(FRAMES))
    assert truth.anno_ids == ("one-a", "one-b", "one-c")
    full = torch.from_numpy(index.masks.mask("one-b", 3)).float()
    assert truth.masks.shape == (3, FRAMES, SIDE, SIDE)
    assert torch.isclose(truth.masks[1, 3].mean(), full.mean(), atol=1e-5)


def test_a_sentence_means_its_referents_in_their_moments(index: Index) -> None:
    frames = np.arange(FRAMES)
    truth = truth_of(index, frames)
    found = labels(index, index.expressions_of("one"), truth, as_they_are(truth), frames)
    assert found.match.int().tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert found.known.tolist() == [True, True, True, False]  # of sentence 3 nobody annotated any
    for number, name in enumerate("abc"):
        expected = np.zeros(FRAMES, bool)
        for start, end in SPANS[name]:
            expected[start:end] = True
        assert found.relevant[0, number].tolist() == expected.tolist()
    assert not found.relevant[2].any()


def test_a_referent_whose_moment_lies_outside_the_frames_is_no_match(index: Index) -> None:
    frames = np.arange(4)  # b moves from frame 6 on
    truth = truth_of(index, frames)
    found = labels(index, index.expressions_of("one"), truth, as_they_are(truth), frames)
    assert found.match[0].tolist() == [True, False, True]


def test_sentences_of_other_videos_mean_no_track(index: Index) -> None:
    frames = np.arange(FRAMES)
    truth = truth_of(index, frames)
    found = labels(index, index.expressions_of("one"), truth, as_they_are(truth), frames).padded(6)
    assert not found.match[4:].any()
    assert not found.relevant[4:].any()
    assert found.known[4:].all()


def test_a_faulty_track_keeps_its_object_only_while_it_shows_it(index: Index) -> None:
    truth = truth_of(index, np.arange(FRAMES))
    owners = []
    for seed in range(40):
        tracks = with_faults(truth, np.random.default_rng(seed))
        owners.append(tracks.owner)
        assert len(tracks.owner) == len(truth.anno_ids) + 1
        for mask, owner in zip(tracks.masks, tracks.owner, strict=True):
            if owner >= 0:
                own, true = mask.flatten(), truth.masks[owner].flatten()
                iou = own @ true / (own @ own + true @ true - own @ true)
                assert iou >= SAME_OBJECT
    # The track of the background may happen to lie on another object.
    assert sum(row[-1] == -1 for row in owners) > len(owners) / 2
    assert any(row[:3] != (0, 1, 2) for row in owners)  # some slip to another object
    assert (0, 1, 2, -1) in owners


def test_faults_follow_the_seed(index: Index) -> None:
    truth = truth_of(index, np.arange(FRAMES))
    one, same, other = (with_faults(truth, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.masks, same.masks)
    assert not torch.equal(one.masks, other.masks)


def test_no_object_gives_no_track() -> None:
    empty = TrueTracks((), torch.zeros(0, 3, SIDE, SIDE))
    found = with_faults(empty, np.random.default_rng(0))
    assert isinstance(found, LabelledTracks)
    assert found.owner == ()
