"""Tracks of sentences and moments."""

from __future__ import annotations

import numpy as np

from stages.core.model.dual_path.tracks import plan_tracks


def test_tracks_per_moment_and_per_sentence() -> None:
    relevant = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)
    apart = plan_tracks(relevant, np.arange(4), per_moment=True)
    assert [(t.expression, t.guided, t.others) for t in apart] == [
        (0, (0,), (1, 2, 3)),
        (0, (2, 3), (0, 1)),
        (1, (), (0, 1, 2, 3)),
    ]
    together = plan_tracks(relevant, np.arange(4), per_moment=False)
    assert [(t.expression, t.guided, t.others) for t in together] == [
        (0, (0, 2, 3), (1,)),
        (1, (), (0, 1, 2, 3)),
    ]
    assert len({id(track.bank) for track in apart + together}) == 5
