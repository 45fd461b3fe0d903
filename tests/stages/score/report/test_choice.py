"""The expressions and frames that a report shows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK

from stages.score.cases import Case, VideoCases
from stages.score.report.choice import STRIP, Shown, list_shown, mistaken, spread, worst_and_best


def shown(
    *,
    jf: float = 0.5,
    j: tuple[float, ...] = (0.5,),
    tracks: tuple[str, ...] = ("1",),
    **columns: Any,
) -> Shown:
    """An expression with scores."""
    frames = tuple(range(len(j)))
    case = Case("v", "0", "x", tracks, frames, "v/0")
    video = VideoCases("v", tuple(map(str, frames)), (4, 4), (case,), tracks=None)  # type: ignore[arg-type]
    zeros = [0] * len(j)
    found = {"J": j, "union": zeros, "intersection": zeros, "predicted_area": zeros, **columns}
    return Shown(0, 0, video, {"JF": jf, "J": sum(j) / len(j)}, pa.table(found))


@QUICK
@given(rows=st.integers(1, 200), data=st.data())
def test_frames_are_spread_and_hold_the_wanted_one(rows: int, data: st.DataObject) -> None:
    wanted = data.draw(st.none() | st.integers(0, rows - 1))
    chosen = spread(rows, wanted)
    assert len(chosen) == len(set(chosen)) == min(rows, STRIP)
    assert chosen == sorted(chosen)
    assert wanted is None or wanted in chosen
    assert 0 <= chosen[0] <= chosen[-1] < rows
    if wanted is None and rows >= STRIP:
        gaps = [b - a for a, b in pairwise(chosen)]
        assert max(gaps) - min(gaps) <= 1


def test_the_worst_frame_has_the_lowest_j_and_then_the_largest_disagreement() -> None:
    item = shown(j=(0.4, 0.0, 0.0, 1.0), union=[9, 3, 8, 5], intersection=[1, 0, 0, 5])
    assert item.worst() == 2
    assert shown(j=(1.0, 1.0)).worst() is None


def test_sentences_without_a_target_are_neither_worst_nor_best() -> None:
    items = [
        shown(jf=0.0, tracks=()),
        shown(jf=1.0, tracks=()),
        *(shown(jf=value) for value in (0.3, 0.1, 0.9)),
    ]
    worst, best = worst_and_best(items, 2)
    assert [item.row["JF"] for item in worst] == [0.1, 0.3]
    assert [item.row["JF"] for item in best] == [0.9]
    assert worst_and_best(items, 0) == ([], [])


def test_masks_without_a_target_are_ranked_by_their_pixels() -> None:
    items = [
        shown(tracks=(), predicted_area=[0]),
        shown(tracks=(), predicted_area=[3]),
        shown(tracks=(), predicted_area=[8]),
        shown(predicted_area=[99]),
    ]
    assert mistaken(items) == [items[2], items[1]]


def test_rows_belong_to_their_cases() -> None:
    cases = tuple(Case("v", str(n), f"sentence {n}", (), tuple(range(n + 1)), "") for n in range(3))
    videos = [
        VideoCases(name, ("0", "1", "2"), None, cases, tracks=None)  # type: ignore[arg-type]
        for name in ("v", "w")
    ]
    frames = pa.table({"frame": [n for _ in videos for case in cases for n in case.frames]})
    known = {"video_id": "v", "expression_id": "0", "predicted_frames": 1, "fault_frames": 0}
    rows = [{"JF": n, **known} for n in range(6)]
    found = list_shown(videos, rows, frames)
    assert [item.row["text"] for item in found] == [case.text for case in cases] * 2
    assert [item.column("frame").tolist() for item in found] == [[0], [0, 1], [0, 1, 2]] * 2
    assert [(item.number, item.place) for item in found][-1] == (1, 2)
    with pytest.raises(IndexError):
        found[0].video.cases[len(cases)]
    assert Path(found[0].case.folder) == Path()


@pytest.mark.parametrize(
    ("predicted", "faults", "remark"),
    [(0, 0, "nothing found"), (0, 2, "best frame"), (3, 0, "best frame")],
)
def test_a_remark_says_what_is_missing(predicted: int, faults: int, remark: str) -> None:
    case = Case("v", "0", "a dog", (), (0, 1, 2), "")
    videos = [VideoCases("v", ("0", "1", "2"), None, (case,), tracks=None)]  # type: ignore[arg-type]
    key = {"video_id": "v", "expression_id": "0"}
    row = {**key, "predicted_frames": predicted, "fault_frames": faults}
    frames = pa.table({"frame": [0, 1, 2]})
    (shown,) = list_shown(videos, [row], frames, frozenset({("v", "0")}))
    assert shown.row["remark"] == remark
    (other,) = list_shown(videos, [row], frames)
    assert other.row["remark"] == (remark if remark != "best frame" else "")
