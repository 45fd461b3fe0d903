"""The coding of compressed RLEs: totals are those of the runs, damage is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.media import rle_checks as runs
from stages.core.media.rle_checks import run_totals

# A longer run takes more characters than pycocotools has room for: it writes beyond its memory.
LONGEST = 2**28


@given(st.lists(st.lists(st.integers(0, LONGEST), min_size=1, max_size=9), min_size=1, max_size=5))
def test_totals_are_those_of_the_runs(tracks: list[list[int]]) -> None:
    coded = [coco.frPyObjects({"size": [1, 1], "counts": each}, 1, 1)["counts"] for each in tracks]
    found = run_totals(coded, where="here", numbers=range(len(coded)))
    assert found.tolist() == [sum(track) for track in tracks]


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=12), min_size=1, max_size=4))
def test_noise_is_counted_or_refused(counts: list[bytes]) -> None:
    try:
        totals = run_totals(counts, where="here", numbers=range(len(counts)))
    except CorruptInput:
        return
    assert (totals >= 0).all()


def test_masks_decoded_apart_have_the_totals_of_those_decoded_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracks = [[n, 3 * n, 7] for n in range(1, 30)]
    coded = [coco.frPyObjects({"size": [1, 1], "counts": each}, 1, 1)["counts"] for each in tracks]
    monkeypatch.setattr(runs, "_TOGETHER", 5)
    found = run_totals(coded, where="here", numbers=range(len(coded)))
    assert found.tolist() == [sum(track) for track in tracks]
    with pytest.raises(CorruptInput, match="here, mask 28: the RLE is cut off"):
        run_totals([*coded[:28], b"P"], where="here", numbers=range(29))


_LONG = """
import resource
from schemas.errors import CorruptInput
from stages.core.datasets.documents.rle_json import read_track
from stages.core.media.rle import decode
from stages.core.media import rle_checks as runs
from stages.core.media.rle_checks import run_totals
from stages.score.masks.rle import pack_rle

def grown():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

decode({"size": [1, 1], "counts": b"1"}, where="warm up")
for side in (1080, 16384):
    for text in ("1" * 50_000_000, "o" * 49_999_999 + "0"):
        size, code = [side, side], text.encode()
        readers = (
            lambda: decode({"size": size, "counts": code}, where="here"),
            lambda: read_track([{"size": size, "counts": text}], where="here"),
            lambda: run_totals([code], where="here", numbers=[0]),
            lambda: pack_rle(text, (side, side), where="here"),
        )
        before = grown()
        for read in readers:
            try:
                read()
                print("read")
            except CorruptInput as error:
                assert "\\n" not in str(error)
        print(grown() - before)
"""
_MOST_KB = 100_000


def test_a_long_text_is_refused_in_little_memory() -> None:
    """50 MB of it took 3.1 GB before the runs were found not to fill the mask."""
    done = subprocess.run([sys.executable, "-c", _LONG], capture_output=True, timeout=60)
    assert not done.stderr, done.stderr.decode()
    grown = [int(line) for line in done.stdout.decode().split()]
    assert len(grown) == 4
    assert max(grown) < _MOST_KB, grown
