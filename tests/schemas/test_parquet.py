"""Tables keep their promise on both sides of the file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.directories import sha256_file
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from schemas.parquet import (
    TableWriter,
    concatenate,
    content_digest,
    read_receipt,
    read_table,
    rows_of,
    validate,
    write_table,
)
from schemas.tables import ALL_TABLES, EXPRESSIONS, MASKS, MOMENTS, PROPAGATION

ROW = {
    "video_id": "v",
    "expression_id": "0",
    "anno_id": None,
    "start_frame": 1,
    "end_frame": 4,
    "source": "annotated",
    "score": None,
}


def moments(*rows: dict[str, object]) -> pa.Table:
    return rows_of([ROW | row for row in rows], MOMENTS)


def test_round_trip_with_receipt(tmp_path: Path) -> None:
    path = tmp_path / "moments.parquet"
    table = moments({}, {"anno_id": "7", "score": 0.5})
    write_table(path, table, MOMENTS, receipt="made by a test")
    assert read_table(path, MOMENTS).equals(table)
    assert read_receipt(path) == "made by a test"
    assert list(tmp_path.iterdir()) == [path]


def test_names_and_versions_are_pinned() -> None:
    """A change of columns must change the version, and shows here."""
    described = {t.name: (t.version, len(t.schema), t.key) for t in ALL_TABLES}
    assert described == {
        "frames": (1, 9, ("video_id", "frame")),
        "videos": (1, 8, ("video_id",)),
        "expressions": (1, 5, ("video_id", "expression_id")),
        "moments": (1, 7, ("video_id", "expression_id", "anno_id", "start_frame")),
        "annotations": (1, 10, ("video_id", "expression_id")),
        "masks": (1, 6, ("anno_id", "frame")),
        "texts": (1, 7, ("text_id",)),
        "texts_bf16": (1, 7, ("text_id",)),
        "candidates": (1, 12, ("video_id", "expression_id", "frame", "rank")),
        "tracks": (1, 8, ("video_id", "expression_id", "anno_id")),
        "objects": (1, 6, ("video_id", "expression_id", "anno_id")),
        "propagation": (1, 7, ("video_id", "expression_id", "frame")),
        "scores": (1, 23, ("video_id", "expression_id")),
        "score_frames": (1, 15, ("video_id", "expression_id", "frame")),
        "agreement": (1, 21, ("one", "other", "video_id", "expression_id")),
        "history": (1, 3, ("step", "name")),
    }


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="video_id=v, expression_id=0"):
        write_table(tmp_path / "m.parquet", moments({}, {}), MOMENTS)
    assert not list(tmp_path.iterdir())


def test_a_null_is_refused_and_its_row_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"start_frame is null in row 1"):
        write_table(tmp_path / "m.parquet", moments({}, {"start_frame": None}), MOMENTS)


def test_unknown_version_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    metadata = {b"tgl.table": b"moments", b"tgl.version": b"99"}
    pq.write_table(moments({}).replace_schema_metadata(metadata), path)
    with pytest.raises(SchemaMismatch, match=r"version 99.*rebuild it with tgl build-moments"):
        read_table(path, MOMENTS)


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_table(path, moments({}), MOMENTS)
    with pytest.raises(SchemaMismatch, match="is the table moments, expected propagation"):
        read_table(path, PROPAGATION)


def test_a_truncated_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_table(path, moments({}), MOMENTS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptInput, match="cannot be read as Parquet") as caught:
        read_table(path, MOMENTS)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="make it with tgl build-moments"):
        read_table(tmp_path / "m.parquet", MOMENTS)


def test_a_foreign_file_is_accepted_if_its_columns_fit(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    foreign = pa.table(
        {
            "extra": [1.5],
            "video_id": ["v"],
            "expression_id": ["0"],
            "anno_id": pa.array([None], pa.string()),
            "start_frame": pa.array([1], pa.int64()),
            "end_frame": pa.array([4], pa.int64()),
        }
    )
    pq.write_table(foreign, path)
    table = read_table(path, MOMENTS)
    assert table.schema.equals(MOMENTS.schema)
    assert table.to_pylist() == [ROW | {"source": "unknown"}]


def test_a_foreign_file_of_wrong_types_is_refused() -> None:
    wrong = moments({}).set_column(3, "start_frame", pa.array(["one"]))
    with pytest.raises(SchemaMismatch, match="column start_frame is string, expected int32"):
        validate(wrong, MOMENTS, where="x")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(moments({}).drop_columns(["end_frame"]), path)
    with pytest.raises(SchemaMismatch, match="lacks column end_frame"):
        read_table(path, MOMENTS)


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="stop"),
        TableWriter(tmp_path / "m.parquet", MASKS) as writer,
    ):
        writer.write(MASKS.schema.empty_table())
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spec", ALL_TABLES, ids=lambda s: s.name)
def test_an_empty_table_round_trips(spec, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, concatenate([], spec), spec)
    assert read_table(path, spec).schema.equals(spec.schema)


frame = st.integers(0, 2**31 - 1)
spans = st.lists(
    st.tuples(
        st.text(min_size=1, max_size=5),
        st.none() | st.text(max_size=3),
        frame,
        frame,
        st.none() | st.floats(width=32, allow_nan=False),
    ),
    max_size=20,
    unique_by=lambda row: (row[0], row[1], row[2]),
)


@settings(max_examples=50)
@given(rows=spans)
def test_any_rows_round_trip(rows, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("t") / "moments.parquet"
    table = moments(
        *(
            {"video_id": v, "anno_id": a, "start_frame": s, "end_frame": e, "score": c}
            for v, a, s, e, c in rows
        )
    )
    write_table(path, table, MOMENTS)
    assert read_table(path, MOMENTS).equals(table)


def test_the_content_digest_leaves_out_the_receipt_alone(tmp_path: Path) -> None:
    def written(name: str, start: int = 0, receipt: str | None = None) -> Path:
        write_table(tmp_path / name, moments({"start_frame": start}), MOMENTS, receipt=receipt)
        return tmp_path / name

    one, two = written("1", receipt="by one"), written("2", receipt="by two, who says more")
    assert sha256_file(one) != sha256_file(two)
    assert content_digest(one) == content_digest(two)
    assert content_digest(written("3", start=1, receipt="by one")) != content_digest(one)
    bare = written("4")
    assert content_digest(bare) == sha256_file(bare)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\xff\xff\xff\xffPAR1", b"tgl.receiptxxx"])
def test_the_content_digest_of_a_damaged_file_is_its_own(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(damage)
    assert content_digest(path) == sha256_file(path)
    path.write_bytes(b"tgl.receipt" + (11).to_bytes(4, "little") + b"PAR1")
    assert content_digest(path) == sha256_file(path)


def test_a_null_inside_a_list_is_refused() -> None:
    lists = {"object_ids": ["1", None], "anno_ids": []}
    row = {"video_id": "v", "expression_id": "0", "expression": "a", **lists}
    table = rows_of([row], EXPRESSIONS)
    with pytest.raises(SchemaMismatch, match="column object_ids has a null inside a list"):
        validate(table, EXPRESSIONS, where="here")
