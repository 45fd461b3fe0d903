"""Run-length masks: pycocotools agrees on sound ones, damaged ones are refused by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.datasets.documents.rle_json import read_track

MASKS = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda shape: st.lists(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)), max_size=6)
)


def _coded(mask: np.ndarray) -> dict:
    packed = coco.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": packed["counts"].decode()}


@given(MASKS)
def test_sound_tracks_are_read_as_they_are(masks: list[np.ndarray]) -> None:
    values = [item for mask in masks for item in (_coded(mask), None)]
    found = read_track(values, where="here")
    assert found[1::2] == [None] * len(masks)
    for mask, rle in zip(masks, found[::2], strict=True):
        assert np.array_equal(coco.decode(rle), mask)


def test_runs_may_be_a_list() -> None:
    mask = np.eye(4, 5, dtype=np.uint8)
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    runs = [0, *runs] if flat[0] else runs
    found = read_track([{"size": [4, 5], "counts": runs}], where="here")[0]
    assert np.array_equal(coco.decode(found), mask)


def test_the_damaged_mask_is_named() -> None:
    good = _coded(np.eye(4, 5, dtype=np.uint8))
    with pytest.raises(CorruptInput, match="here, mask 2: the runs do not fill 5x5"):
        read_track([good, None, {**good, "size": [5, 5]}, good], where="here")
    with pytest.raises(CorruptInput, match="here, mask 3: the RLE is cut off"):
        read_track([None, good, good, {**good, "counts": "P"}], where="here")
