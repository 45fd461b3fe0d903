"""Moments of referents merged into moments of all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import ANNOTATED, PREDICTED, UNION
from stages.core.datasets.moment_rows import MomentRow, union_rows
from stages.core.media.spans import NEVER, span_mask

FRAMES = 30


@st.composite
def rows(draw: st.DrawFn) -> list[MomentRow]:
    """Rows of two expressions, which may overlap."""
    found = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, FRAMES - 1))
        end = draw(st.integers(start + 1, FRAMES))
        start, end = draw(st.sampled_from([(start, end), NEVER]))
        source = draw(st.sampled_from([ANNOTATED, PREDICTED]))
        anno = draw(st.sampled_from(["1", "2", None]))
        found.append(MomentRow("a", draw(st.sampled_from("01")), anno, start, end, source, 0.5))
    return found


def frames(found: list[MomentRow], expression: str) -> np.ndarray:
    return span_mask([row.span for row in found if row.expression_id == expression], FRAMES)


@given(rows())
def test_the_union_has_the_same_frames(given_rows: list[MomentRow]) -> None:
    united = union_rows(given_rows)
    assert list(dict.fromkeys(r.key for r in united)) == list(
        dict.fromkeys(r.key for r in given_rows)
    )
    for expression in "01":
        assert np.array_equal(frames(united, expression), frames(given_rows, expression))
        spans = [row.span for row in united if row.expression_id == expression]
        assert spans == [NEVER] or NEVER not in spans
        assert all(end < start for (_, end), (start, _) in pairwise(spans))
    assert all(row.anno_id is None and row.score is None for row in united)


def test_the_source_is_kept_where_it_is_the_same() -> None:
    one = MomentRow("a", "0", "1", 0, 4, PREDICTED)
    two = MomentRow("a", "0", "2", 4, 6, PREDICTED)
    other = MomentRow("a", "0", "3", 8, 9, ANNOTATED)
    over = MomentRow("a", "0", "1", 5, 9, PREDICTED)
    assert union_rows([one, two]) == [MomentRow("a", "0", None, 0, 6, PREDICTED)]
    assert union_rows([one, other, over]) == [
        MomentRow("a", "0", None, 0, 4, PREDICTED),
        MomentRow("a", "0", None, 5, 9, UNION),
    ]
