"""The vote, on masks of which the shares are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from track_minis import SIDE, KnownTracks, sentence, square

from stages.core.model.object_tracks.vote import (
    VOTING_FRAMES,
    chosen_tracks,
    vote,
    voting_frames,
)

NOTHING = torch.zeros(SIDE, SIDE, dtype=torch.bool)
SURE = 0.99966
"""Probability of the highest logit that is kept."""


def track(*masks: torch.Tensor) -> torch.Tensor:
    return torch.stack(masks)


def test_a_vote_is_the_covered_share_of_a_track_over_guided_frames_that_show_it() -> None:
    tracks = KnownTracks(
        torch.stack(
            [
                track(*[square(0)] * 8),  # covered whole in frame 2, half in frame 3
                track(*[square(0)] * 3, *[NOTHING] * 5),  # not visible in frame 3
                track(*[square(9)] * 8),  # elsewhere
                track(*[NOTHING] * 8),
            ]
        )
    )
    one = sentence({2: square(0), 3: square(2), 4: square(9)}, guided=[2, 3])
    votes = vote(tracks, [one])
    assert votes.shape == (1, 4)
    expected = [0.75 * SURE, SURE, 1 - SURE, 0]
    assert votes[0].tolist() == pytest.approx(expected, abs=1e-3)


def test_unsure_masks_vote_less() -> None:
    tracks = KnownTracks(track(*[square(0)] * 8)[None])
    votes = [vote(tracks, [sentence({1: square(0)}, [1], logit=x)])[0, 0] for x in (0.5, 2.0)]
    assert votes == pytest.approx([0.622, 0.881], abs=1e-3)


def test_sentences_without_guided_frames_and_videos_without_tracks_have_no_votes() -> None:
    tracks = KnownTracks(track(*[square(0)] * 8)[None])
    unguided = sentence({2: square(0)}, guided=[])
    guided = sentence({2: square(0)}, guided=[2])
    assert vote(tracks, [unguided, guided])[:, 0].tolist() == pytest.approx([0, SURE], abs=1e-3)
    none = KnownTracks(torch.zeros(0, 8, SIDE, SIDE, dtype=torch.bool))
    assert vote(none, [guided]).shape == (1, 0)
    assert chosen_tracks(np.zeros(0, np.float32), least=0.2, share=0.7) == []


def test_tracks_at_another_resolution_are_compared() -> None:
    large = square(0).repeat_interleave(2, 0).repeat_interleave(2, 1)  # (32, 32)
    tracks = KnownTracks(track(*[square(0)] * 8)[None])
    assert vote(tracks, [sentence({1: large}, [1])])[0, 0] == pytest.approx(SURE, abs=1e-3)


def test_tracks_near_the_best_vote_are_chosen_best_first() -> None:
    votes = np.array([0.5, 0.9, 0.1, 0.65, 0.62], np.float32)
    assert chosen_tracks(votes, least=0.2, share=0.7) == [1, 3]
    assert chosen_tracks(votes, least=0.2, share=0.5) == [1, 3, 4, 0]
    assert chosen_tracks(votes, least=0.95, share=0.5) == []
    assert chosen_tracks(votes * 0.2, least=0.1, share=0.7) == [1, 3]
    assert chosen_tracks(votes * 0, least=0, share=0.7) == []


def test_few_frames_of_a_long_moment_vote() -> None:
    guided = np.zeros(5000, bool)
    guided[1000:4000] = True
    (frames,) = voting_frames(guided)
    assert len(frames) == VOTING_FRAMES
    assert (frames[0], frames[-1]) == (1000, 3999)
    assert voting_frames(guided[:1003]) == [[1000, 1001, 1002]]
    guided[2000] = False
    assert [len(own) for own in voting_frames(guided)] == [VOTING_FRAMES // 2] * 2
    assert voting_frames(guided[:2003], by_moment=False)[0][-1] == 2002


def test_a_track_needs_the_vote_of_one_moment_only() -> None:
    """Two referents take their turns, each in a moment of the sentence."""
    tracks = KnownTracks(torch.stack([track(*[square(0)] * 8), track(*[square(9)] * 8)]))
    shown = {1: square(0), 2: square(0), 6: square(9)}
    one = sentence(shown, guided=[1, 2, 6])
    assert vote(tracks, [one])[0].tolist() == pytest.approx([SURE, SURE], abs=1e-3)
    together = vote(tracks, [one], by_moment=False)
    assert together[0].tolist() == pytest.approx([2 / 3, 1 / 3], abs=1e-3)
