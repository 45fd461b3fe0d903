"""The coding of compressed RLEs: totals are those of the runs, damage is refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.index.runs import run_totals

# A longer run takes more characters than pycocotools has room for: it writes beyond its memory.
LONGEST = 2**28


@given(st.lists(st.lists(st.integers(0, LONGEST), min_size=1, max_size=9), min_size=1, max_size=5))
def test_totals_are_those_of_the_runs(tracks: list[list[int]]) -> None:
    coded = [coco.frPyObjects({"size": [1, 1], "counts": runs}, 1, 1)["counts"] for runs in tracks]
    found = run_totals(coded, where="here", numbers=range(len(coded)))
    assert found.tolist() == [sum(runs) for runs in tracks]


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=12), min_size=1, max_size=4))
def test_noise_is_counted_or_refused(counts: list[bytes]) -> None:
    try:
        totals = run_totals(counts, where="here", numbers=range(len(counts)))
    except CorruptInput:
        return
    assert (totals >= 0).all()
