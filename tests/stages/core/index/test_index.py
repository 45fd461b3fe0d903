"""An index folder: its tables are held against each other when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError, UnsafeName
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.index.index import Index, read_moments

Rows = dict[str, list[dict]]


@pytest.fixture
def rows() -> Rows:
    """Rows of the four tables of a sound index."""
    return {
        "videos": [
            {
                "video_id": "v",
                "num_frames": 3,
                "height": 4,
                "width": 5,
                "fps": None,
                "frame_names": ["0", "1", "2"],
                "frame_suffix": ".jpg",
                "frames_dir": "../frames/v",
            }
        ],
        "expressions": [
            {
                "video_id": "v",
                "expression_id": "0",
                "expression": "the cat",
                "object_ids": ["1"],
                "anno_ids": ["10"],
            }
        ],
        "moments": [
            {
                "video_id": "v",
                "expression_id": "0",
                "anno_id": "10",
                "start_frame": 0,
                "end_frame": 2,
                "source": "annotated",
                "score": None,
            }
        ],
    }


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Rows], Path]:
    """Write the rows as an index; returns its folder."""

    def write(rows: Rows) -> Path:
        for name, spec in (("videos", VIDEOS), ("expressions", EXPRESSIONS), ("moments", MOMENTS)):
            write_table(tmp_path / f"{name}.parquet", rows_of(rows[name], spec), spec)
        write_table(tmp_path / "masks.parquet", MASKS.schema.empty_table(), MASKS)
        return tmp_path

    return write


def test_a_sound_index_opens(rows: Rows, written: Callable) -> None:
    index = Index.open(written(rows))
    assert index.relevant("v", "0").tolist() == [True, True, False]
    assert index.expressions_of("w") == []
    assert index.expressions[0].key == ("v", "0")


@pytest.mark.parametrize(
    ("table", "change", "error", "words"),
    [
        ("videos", {"video_id": "../../x"}, UnsafeName, "../../x"),
        ("videos", {"video_id": "receipt.json"}, UnsafeName, "cannot be called 'receipt.json'"),
        ("videos", {"frame_names": ["0", "/1", "2"]}, UnsafeName, "/1"),
        ("videos", {"num_frames": 4}, CorruptInput, "3 frame names for 4"),
        ("videos", {"frame_names": [], "num_frames": 0}, CorruptInput, "a video cannot have"),
        ("videos", {"height": -3}, CorruptInput, "a video cannot have"),
        ("videos", {"height": 2_000_000_000}, CorruptInput, "are too large"),
        ("videos", {"fps": float("inf")}, CorruptInput, "inf is not a frame rate"),
        ("videos", {"frame_suffix": "/../x.jpg"}, CorruptInput, "is not an image suffix"),
        ("videos", {"frames_dir": "a\0b"}, CorruptInput, "is not a folder name"),
        ("expressions", {"video_id": "w"}, CorruptInput, "names video w"),
        ("expressions", {"expression_id": "a/b"}, UnsafeName, "a/b"),
        ("moments", {"expression_id": "7"}, CorruptInput, "expression 7"),
        ("moments", {"anno_id": "11"}, CorruptInput, "anno id 11 is not a referent"),
        ("moments", {"end_frame": 4}, CorruptInput, "[0, 4] of video v"),
        ("moments", {"start_frame": 2, "end_frame": 2}, CorruptInput, "is empty"),
        ("moments", {"start_frame": -1}, CorruptInput, "before the video"),
    ],
)
def test_contradictions_are_named(
    rows: Rows, written: Callable, table: str, change: dict, error: type[TglError], words: str
) -> None:
    rows[table][0].update(change)
    with pytest.raises(error) as caught:
        Index.open(written(rows))
    assert words in str(caught.value)
    assert table in str(caught.value)


@pytest.mark.parametrize("table", ["videos", "expressions", "moments"])
def test_truncated_and_foreign_tables(rows: Rows, written: Callable, table: str) -> None:
    path = written(rows) / f"{table}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptInput, match=f"{table}.parquet: cannot be read as Parquet"):
        Index.open(path.parent)
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(CorruptInput, match=table):
        Index.open(path.parent)
    path.unlink()
    with pytest.raises(MissingInput, match="build-moments"):
        Index.open(path.parent)


def test_an_unknown_version_is_refused_with_the_command(rows: Rows, written: Callable) -> None:
    path = written(rows) / "moments.parquet"
    table = pq.read_table(path)
    footer = {**(table.schema.metadata or {}), b"tgl.version": b"99"}
    pq.write_table(table.replace_schema_metadata(footer), path)
    with pytest.raises(SchemaMismatch, match=r"version 99.*tgl build-moments"):
        Index.open(path.parent)


def test_a_foreign_moments_table_may_lack_source_and_score(tmp_path: Path) -> None:
    table = pa.table(
        {
            "video_id": ["v", "v"],
            "expression_id": ["0", "0"],
            "anno_id": pa.array([None, None], pa.string()),
            "start_frame": [5, 1],
            "end_frame": [6, 2],
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    assert read_moments(tmp_path / "m.parquet") == {("v", "0"): {None: [(1, 2), (5, 6)]}}


def test_an_empty_span_at_the_start_says_never(rows: Rows, written: Callable) -> None:
    rows["moments"][0].update(start_frame=0, end_frame=0)
    index = Index.open(written(rows))
    first = rows["moments"][0]
    key = first["video_id"], first["expression_id"]
    assert index.moments(*key)[first["anno_id"]] == []
    assert index.is_never(*key) is not any(index.moments(*key).values())
    assert not index.is_never("v", "nothing is known")


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such index"):
        Index.open(tmp_path / "absent")
