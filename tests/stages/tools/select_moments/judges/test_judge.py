"""Scores become verdicts: a moment, and acceptance by its mean score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.core.index.index import Expression, Video
from stages.core.media.rle import encode
from stages.tools.select_moments.config import REFERENT, SelectConfig
from stages.tools.select_moments.judges.judge import (
    Advance,
    Case,
    Scores,
    ScoringJudge,
    choose_spans,
)

VIDEO = Video("v", 6, 2, 2, None, tuple("abcdef"), ".jpg", Path())
_MASK = encode(np.ones((2, 2)))


def case(**visible: str) -> Case:
    """A video with one sentence that may mean every track; 1 in its word is a visible frame."""
    tracks = {
        name: {n: _MASK for n, shown in enumerate(word) if shown == "1"}
        for name, word in visible.items()
    }
    return Case(VIDEO, [Expression("v", "0", "it", tuple(tracks), tuple(tracks))], tracks)


def config(**settings: object) -> SelectConfig:
    return SelectConfig(per=REFERENT, **settings)


class Fixed(ScoringJudge):
    """Gives known scores."""

    source = "fixed"

    def __init__(self, scores: Scores, settings: SelectConfig):
        super().__init__(settings)
        self._scores = scores

    def scores(self, case: Case, advance: Advance) -> Scores:
        return self._scores


@pytest.mark.parametrize(
    ("scores", "visible", "settings", "expected"),
    [
        ([0.9, 0.8, 0.1, 0.1, 0.1, 0.1], "111111", {}, [(0, 2)]),
        ([0.2, 0.1, 0.02, 0.02, 0.1, 0.1], "111111", {"fill": 1}, [(0, 2), (4, 6)]),
        ([0.2, 0.1, 0.02, 0.02, 0.1, 0.1], "111111", {"fill": 2}, [(0, 6)]),
        ([0.9, 0.1, 0.1, 0.8, 0.1, 0.1], "111111", {"fill": 0, "drop": 2}, [(0, 1)]),
        ([0.9, 0.1, 0.1, 0.8, 0.1, 0.1], "111111", {"fill": 0, "drop": 1}, [(0, 1), (3, 4)]),
        ([0.0] * 6, "001100", {}, [(2, 4)]),
        ([0.9] * 6, "011000", {}, [(1, 3)]),
        ([0.9] * 6, "100001", {"threshold": 0.0, "fill": 0, "drop": 1}, [(0, 1), (5, 6)]),
    ],
)
def test_spans(scores: list, visible: str, settings: dict, expected: list) -> None:
    shown = np.array([word == "1" for word in visible])
    assert choose_spans(np.array(scores), shown, config(**settings)) == expected


def test_acceptance_is_by_the_mean_of_the_moment() -> None:
    frames = np.array([[0.9, 0.7, 0, 0, 0, 0], [0.5, 0.4, 0.4, 0.4, 0, 0], [0.9] * 6])
    tracks = case(a="111111", b="111111", c="000000")
    found = Fixed(Scores(frames), config()).judge(tracks, lambda n: None)
    assert [verdict.accepted for verdict in found] == [True, False, False]
    assert found[0].spans == (((0, 2), pytest.approx(0.8)),)
    assert found[0].score == pytest.approx(0.8)
    assert found[1].score == pytest.approx(0.425)
    assert found[1].spans == found[2].spans == ()
    lower = Fixed(Scores(frames), config(accept=0.42)).judge(tracks, lambda n: None)
    assert [verdict.accepted for verdict in lower] == [True, True, False]
    all_visible = Fixed(Scores(frames * 0), config(accept=0.0)).judge(tracks, lambda n: None)
    assert [verdict.accepted for verdict in all_visible] == [True, True, False]


def test_a_judge_may_have_a_measure_of_its_own_for_acceptance() -> None:
    frames = np.full((2, 6), 0.9)
    tracks = case(a="111111", b="111111")
    scores = Scores(frames, np.array([0.2, 0.6]))
    found = Fixed(scores, config()).judge(tracks, lambda n: None)
    assert [(verdict.accepted, verdict.score) for verdict in found] == [(False, 0.2), (True, 0.6)]


def test_pairs_are_every_sentence_with_each_of_its_tracks_once() -> None:
    twice = Case(VIDEO, [Expression("v", "0", "it", ("a", "a"), ("a", "a"))], {"a": {}})
    assert [(pair.row, pair.anno_id) for pair in twice.pairs] == [(0, "a")]
