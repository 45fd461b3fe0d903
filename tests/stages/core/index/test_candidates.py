"""Candidates of other programs: fitted to an index, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import FEW, error_or_success
from spoiling_tables import spoilt_table

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.index.candidates import read_candidates
from stages.core.index.index import Index


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """Videos a (6 frames, 3 sentences) and b (3 frames, 1 sentence) of 16x12 pixels."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


def foreign(index: Path, **columns: list[Any]) -> Path:
    """A table of two candidates of another program, with some columns of its own."""
    whole = {
        "video_id": ["b", "a"],
        "expression_id": ["0", "1"],
        "frame": [1, 2],
        "rank": [0, 0],
        "x0": [0.0, -1.5],
        "y0": [0.0, 2.0],
        "x1": [4.0, 4.0],
        "y1": [4.0, 6.0],
        "score": [0.25, 0.5],
        **columns,
    }
    path = index.with_name("foreign.parquet")
    pq.write_table(pa.table({k: v for k, v in whole.items() if v != []}), path)
    return path


def test_a_foreign_table_is_ordered_and_clipped(index: Path) -> None:
    found = read_candidates(foreign(index), Index.open(index))
    rows = found.table.to_pylist()
    assert [row["video_id"] for row in rows] == ["a", "b"]
    assert (rows[0]["x0"], rows[0]["x1"]) == (0, 4)
    assert rows[0]["source"] == "unknown"
    assert (found.clipped, found.dropped) == (1, 0)


def test_a_box_without_an_area_in_the_frame_is_dropped(index: Path) -> None:
    found = read_candidates(foreign(index, x1=[4.0, 0.0]), Index.open(index))
    assert [row["video_id"] for row in found.table.to_pylist()] == ["b"]
    assert (found.clipped, found.dropped) == (0, 1)


def test_many_candidates_of_a_frame(index: Path) -> None:
    count = 200
    corners = {"x0": 0.0, "y0": 0.0, "x1": 4.0, "y1": 4.0}
    path = foreign(
        index,
        video_id=["a"] * count,
        expression_id=["1"] * count,
        frame=[2] * count,
        rank=list(range(count)),
        score=[n / count for n in range(count)],
        **{name: [value] * count for name, value in corners.items()},
    )
    rows = read_candidates(path, Index.open(index)).table.to_pylist()
    assert [row["rank"] for row in rows] == list(range(count))
    assert rows[0]["score"] > rows[-1]["score"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"video_id": ["c", "a"]}, "candidates of video c, which is not in the index"),
        ({"expression_id": ["0", "9"]}, "of video a, expression 9, which is not in the index"),
        ({"frame": [1, 6]}, "video a, expression 1, frame 6: the video has 6 frames"),
        ({"frame": [-1, 2]}, "video b, expression 0, frame -1: the video has 3 frames"),
        ({"score": [0.5, float("nan")]}, r"box and score are not finite \(-1.5, 2, 4, 6, nan\)"),
        ({"x1": [float("inf"), 4.0]}, "box and score are not finite"),
        ({"x1": [4.0, -2.0]}, r"the box \(-1.5, 2, -2, 6\) has a negative size"),
        ({"y0": [13.0, 2.0], "y1": [14.0, 6.0]}, "lies outside the frame of 16x12"),
        ({"counts": [b"0", None]}, "the mask does not fill the frame of 16x12"),
        ({"counts": [None, b"~~"]}, "mask 1: the RLE has an invalid character"),
    ],
)
def test_rows_that_do_not_fit_are_refused(index: Path, columns: Any, message: str) -> None:
    with pytest.raises(CorruptInput, match=rf"foreign.parquet.*{message}"):
        read_candidates(foreign(index, **columns), Index.open(index))


def test_a_table_without_its_columns_is_refused(index: Path) -> None:
    with pytest.raises(SchemaMismatch, match="lacks column score"):
        read_candidates(foreign(index, score=[]), Index.open(index))


def test_a_missing_table_names_the_command_that_makes_it(index: Path) -> None:
    with pytest.raises(MissingInput, match="the candidates table is missing; make it with tgl gr"):
        read_candidates(index / "candidates.parquet", Index.open(index))


@FEW
@given(data=st.data())
def test_spoilt_tables(data: st.DataObject, index: Path) -> None:
    opened = Index.open(index)
    path = foreign(index, counts=[b"`6", None], phrase=["a", None])
    pq.write_table(data.draw(spoilt_table(pq.read_table(path))), path)
    with error_or_success():
        fitted = read_candidates(path, opened).table
        assert fitted.num_rows <= 3
