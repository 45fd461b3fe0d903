"""Measures of a ranking, against pair counting and worked examples."""

import numpy as np
import pytest

from stages.train.validation.ranking import area_under_roc, average_precision


def by_pairs(scores: np.ndarray, relevant: np.ndarray) -> float:
    """The area as the share of pairs in the right order."""
    above = scores[relevant][:, None] - scores[~relevant][None]
    return float(((above > 0) + (above == 0) / 2).mean())


@pytest.mark.parametrize("levels", [3, 1000], ids=["ties", "no ties"])
def test_the_area_is_the_share_of_pairs_in_order(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores, relevant = rng.integers(0, levels, 200) / 7, rng.random(200) < 0.3
    assert area_under_roc(scores, relevant) == pytest.approx(by_pairs(scores, relevant), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "relevant", "expected"),
    [
        ([4, 3, 2, 1], [1, 1, 0, 0], 1.0),
        ([1, 2, 3, 4], [1, 1, 0, 0], (1 / 3 + 2 / 4) / 2),
        ([4, 3, 2, 1], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0, 0, 0, 0], [1, 0, 0, 0], 0.25),
        ([2, 1, 1, 0], [0, 1, 0, 1], (1 / 3 + 2 / 4) / 2),
    ],
)
def test_average_precision_by_hand(
    scores: list[float], relevant: list[int], expected: float
) -> None:
    found = average_precision(np.array(scores, float), np.array(relevant, bool))
    assert found == pytest.approx(expected)


def test_neither_depends_on_the_order_of_ties() -> None:
    rng = np.random.default_rng(0)
    scores, relevant = rng.integers(0, 4, 60).astype(float), rng.random(60) < 0.5
    order = rng.permutation(60)
    for measure in (area_under_roc, average_precision):
        assert measure(scores, relevant) == pytest.approx(measure(scores[order], relevant[order]))


def test_one_kind_alone_has_no_area() -> None:
    scores = np.arange(4.0)
    assert area_under_roc(scores, np.ones(4, bool)) is None
    assert area_under_roc(scores, np.zeros(4, bool)) is None
    assert average_precision(scores, np.zeros(4, bool)) is None
    assert average_precision(scores, np.ones(4, bool)) == 1
