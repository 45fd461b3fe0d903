"""Agreement of sets of moments: by hand, and what holds for any two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from describe_mini import SPANS
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK

from schemas.errors import ConfigError
from stages.core.index.index import Expression, Index
from stages.core.media.spans import merge_spans, span_mask
from stages.tools.describe.agreement import (
    EDGES,
    FIGURES,
    PairAgreement,
    SentenceAgreement,
    compare,
    compare_sentence,
)
from stages.tools.describe.config import DescribeConfig
from stages.tools.describe.describe import describe
from stages.tools.describe.moment_sets import MomentSet, own_moments

Write = Callable[..., Path]
KEY = ("v", "0")
EXPRESSION = Expression(*KEY, "a dog", ("1", "2"), ("v_1", "v_2"))
FRAMES = 12


def moments(spans: dict, name: str = "x") -> MomentSet:
    return MomentSet(name, {KEY: spans}, frozenset({KEY}), {})


def figures_of(one: dict, other: dict) -> dict:
    return compare_sentence(EXPRESSION, FRAMES, moments(one), moments(other)).figures


def test_by_hand() -> None:
    # v_1: [0, 4) and [2, 6): 2 frames both, 2 and 2 one alone, 6 neither; IoU 2/6, edges 2 and 2.
    # v_2: [5, 10) twice: 5 both, 7 neither; IoU 1, edges 0 and 0.
    found = figures_of({"v_1": [(0, 4)], "v_2": [(5, 10)]}, {"v_1": [(2, 6)], "v_2": [(5, 10)]})
    assert found["frame_agreement"] == pytest.approx(20 / 24)
    assert found["frame_iou"] == pytest.approx(7 / 11)
    # Both say yes to 9 of 24: by chance (9 * 9 + 15 * 15) / 24^2 agree.
    chance = (81 + 225) / 576
    assert found["kappa"] == pytest.approx((20 / 24 - chance) / (1 - chance))
    # Krippendorff: 48 values, 18 of them yes; 8 of them lie in differing pairs.
    assert found["alpha"] == pytest.approx(1 - 47 * 8 / (2 * 18 * 30))
    assert found["span_tiou"] == pytest.approx((2 / 6 + 1) / 2)
    assert (found["f1@0.5"], found["f1@0.7"]) == (0.5, 0.5)
    assert (found["start_difference"], found["end_difference"]) == (1, 1)


def test_together_where_one_does_not_tell_referents() -> None:
    sentence = compare_sentence(
        EXPRESSION, FRAMES, moments({"v_1": [(0, 4)], "v_2": [(3, 6)]}), moments({None: [(0, 6)]})
    )
    assert (sentence.by_referent, sentence.lanes, sentence.spans) == (False, 1, (1, 1))
    assert sentence.figures["kappa"] == 1


def test_referents_that_are_never_true() -> None:
    found = figures_of({"v_1": [(0, 4)]}, {"v_1": [(0, 4)]})
    assert (found["frame_iou"], found["kappa"], found["f1@0.5"]) == (1, 1, 1)


def test_both_empty_and_one_empty() -> None:
    empty = figures_of({}, {})
    # Nothing varies: agreement is complete, and what corrects for chance is undefined.
    assert (empty["frame_agreement"], empty["frame_iou"]) == (1, 1)
    for name in ("kappa", "alpha", "span_tiou", "f1@0.5", "f1@0.7", *EDGES):
        assert empty[name] is None
    one = figures_of({"v_1": [(0, 4)]}, {})
    assert (one["kappa"], one["frame_iou"], one["f1@0.5"], one["span_tiou"]) == (0, 0, 0, None)


LANE = st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES).map(
    lambda inside: merge_spans((frame, frame + 1) for frame in range(FRAMES) if inside[frame])
)
SIDE = st.fixed_dictionaries({"v_1": LANE, "v_2": LANE})


@QUICK
@given(one=SIDE, other=SIDE)
def test_what_holds_for_any_two(one: dict, other: dict) -> None:
    found, back = figures_of(one, other), figures_of(other, one)
    for name in FIGURES:  # edges may differ, if several pairs have the same IoU
        assert found[name] == pytest.approx(back[name], nan_ok=True)
    for name in ("frame_agreement", "frame_iou", "span_tiou", "f1@0.5", "f1@0.7"):
        assert found[name] is None or 0 <= found[name] <= 1
    same = figures_of(one, one)
    assert same["frame_agreement"] == same["frame_iou"] == 1
    assert {same[name] for name in FIGURES if same[name] is not None} == {1.0}
    swapped = figures_of(
        {"v_1": one["v_2"], "v_2": one["v_1"]}, {"v_1": other["v_2"], "v_2": other["v_1"]}
    )
    assert swapped == pytest.approx(found)
    flat = [
        np.concatenate([span_mask(side[lane], FRAMES) for lane in ("v_1", "v_2")])
        for side in (one, other)
    ]
    assert found["frame_agreement"] == pytest.approx((flat[0] == flat[1]).mean())


def test_sentences_of_one_set_alone_are_named(index: Path, write_moments: Write) -> None:
    rows = [row for row in SPANS if row[:2] != ("a", "0")]
    path = write_moments("bob", [*rows, ("b", "2", "b_2", 0, 3)])
    (pair,) = describe(index, DescribeConfig(), against=[path]).pairs
    assert [sentence.key for sentence in pair.sentences] == [("a", "1"), ("b", "0"), ("b", "1")]
    assert pair.only_one == (("a", "0"),)
    assert pair.only_other == (("b", "2"),)
    document = pair.document()
    assert (document["only_one"], document["only_other"]) == ([["a", "0"]], [["b", "2"]])
    assert document["figures"]["kappa"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_a_sentence_without_a_target_that_somebody_marks(index: Path, write_moments: Write) -> None:
    path = write_moments("bob", [("a", "2", None, 0, 5)])
    (pair,) = describe(index, DescribeConfig(), against=[path]).pairs
    assert [sentence.key for sentence in pair.sentences] == [("a", "2")]
    assert pair.sentences[0].frame_iou == 0
    assert pair.document()["figures"]["alpha"]["low"] is None  # one video: nothing to resample


def test_assumptions_are_not_compared_with_each_other(index: Path) -> None:
    opened = Index.open(index)
    pair = compare(opened, own_moments(opened), own_moments(opened))
    assert ("a", "2") not in [sentence.key for sentence in pair.sentences]


def test_nothing_in_common() -> None:
    pair = PairAgreement("x", "y", (), (KEY,), ())
    document = pair.document()
    assert document["sentences"] == document["videos"] == document["frames"] == 0
    for figure in document["figures"].values():
        assert set(figure.values()) == {None}
    json.dumps(document, allow_nan=False)


def test_totals_are_sums_over_sentences_and_intervals_contain_them() -> None:
    rng = np.random.default_rng(0)
    sentences = []
    for number in range(40):
        expression = Expression(f"v{number % 8}", str(number), "x", ("1",), ("v_1",))
        start = int(rng.integers(0, 5))
        sides = [
            MomentSet(n, {expression.key: {"v_1": [span]}}, frozenset(), {})
            for n, span in (("x", (start, start + 5)), ("y", (start + 1, start + 6 + number % 2)))
        ]
        sentences.append(compare_sentence(expression, FRAMES, *sides))
    document = PairAgreement("x", "y", tuple(sentences), (), ()).document()
    for figure in document["figures"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    tables = sum(sentence.table for sentence in sentences)
    agreed = np.trace(tables) / tables.sum()
    assert document["figures"]["frame_agreement"]["value"] == pytest.approx(agreed)
    assert document["figures"]["start_difference"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    tious = [value for sentence in sentences for value in sentence.tious]
    assert document["figures"]["span_tiou"]["value"] == pytest.approx(np.mean(tious))
    assert isinstance(sentences[0], SentenceAgreement)


def test_alpha_of_three_sets(index: Path, write_moments: Write) -> None:
    ann = write_moments("ann", [*SPANS[:1], *SPANS[4:5]])
    bob = write_moments("bob", [("a", "0", "a_1", 3, 6), ("a", "1", "a_1", 0, 3)])
    found = describe(index, DescribeConfig(), against=[ann, bob]).document["agreement"]
    assert len(found["pairs"]) == 3
    every = found["all"]
    assert (len(every["sets"]), every["sentences"], every["videos"]) == (3, 3, 2)
    # a/0: 10 frames of three values, [2, 6) twice and [3, 6): frame 2 has two of three.
    # a/1: a_1 and a_2, 10 frames each, by the index and bob: [0, 3) twice; [3, 5) and [7, 10)
    # against nothing. b/0: 20 frames of two values, all yes.
    zeros = np.array([[2 / 3 - 2 / 3, 0], [0, 0]])
    zeros += [[6 * 3, 0], [0, 3 * 3]]  # a/0, frames that all agree on
    zeros += np.array([[0, 1], [1, 1]])  # frame 2: one no, two yes: 1*2/2, 2*1/2, 2*1/2
    zeros += [[7 * 2, 0], [0, 3 * 2]]  # a_1
    zeros += [[5 * 2, 5], [5, 0]]  # a_2
    zeros += [[0, 0], [0, 20 * 2]]  # b/0
    total, yes = zeros.sum(), zeros[1].sum()
    expected = 1 - (total - 1) * 2 * zeros[0, 1] / (total**2 - yes**2 - (total - yes) ** 2)
    assert every["alpha"]["value"] == pytest.approx(expected)
    assert every["frames"] == 10 + 20 + 20


def test_what_cannot_be_compared(index: Path, write_moments: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is compared with itself"):
        describe(index, DescribeConfig(), against=[index])
    empty = write_moments("empty", [])
    with pytest.raises(ConfigError, match="the index has no moments to compare with"):
        describe(
            index, DescribeConfig(), moments=empty, against=[tmp_path / "index" / "moments.parquet"]
        )
