"""Moments out of an index and back into one, through the stage itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import MOMENTS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.index.index import Index
from stages.core.moment_formats import FORMAT_NAMES
from stages.tools.export_moments.export import NOT_SAID, export_moments

SUFFIXES = {"tgl": ".json", "label-studio": ".json", "csv": ".csv", "via": ".csv",
            "parquet": ".parquet", "qvhighlights": ".jsonl", "charades-sta": ".txt"}  # fmt: skip


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_an_index_of_what_was_exported_has_the_same_moments(
    run_stage: Callable, mevis, tmp_path: Path, name: str
) -> None:
    split = mevis.write()
    first = tmp_path / "first"
    run_stage(STAGE, IndexConfig(fps=6.0), IndexInputs(split), first)
    union = name in ("qvhighlights", "charades-sta")
    out = tmp_path / f"moments{SUFFIXES.get(name, '')}"
    counts = export_moments(first, out, name, union=union)
    assert counts["expressions"] == 3
    config = IndexConfig(fps=6.0, moments_format=name)
    run_stage(STAGE, config, IndexInputs(split, None, out), tmp_path / "second")
    before, after = Index.open(first), Index.open(tmp_path / "second")
    for expression in before.expressions:
        relevant = before.relevant(*expression.key).tolist()
        assert after.relevant(*expression.key).tolist() == relevant
        if not union:
            assert after.moments(*expression.key) == before.moments(*expression.key)


def test_what_a_format_cannot_hold_is_refused(run_stage: Callable, mevis, tmp_path: Path) -> None:
    run_stage(STAGE, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    with pytest.raises(ConfigError, match="--union"):
        export_moments(tmp_path / "index", tmp_path / "m.txt", "charades-sta", fps=6.0)
    with pytest.raises(ConfigError, match="frame rate of video"):
        export_moments(tmp_path / "index", tmp_path / "m.csv", "via")
    with pytest.raises(ConfigError, match="no video zebra"):
        export_moments(tmp_path / "index", tmp_path / "m.csv", "csv", videos=["zebra"])
    assert not list(tmp_path.glob("m.*"))


def test_never_is_exported_where_the_format_can_say_it(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    split = mevis.write()
    run_stage(STAGE, IndexConfig(fps=6.0), IndexInputs(split), tmp_path / "index")
    rows = read_table(tmp_path / "index" / MOMENTS_TABLE, MOMENTS).to_pylist()
    rows[0] |= {"start_frame": 0, "end_frame": 0}
    write_table(tmp_path / "m.parquet", rows_of(rows, MOMENTS), MOMENTS)
    for name, kept in (("csv", 5), ("cvat", 4)):
        out = tmp_path / f"out.{name}" if name == "csv" else tmp_path / name
        counts = export_moments(tmp_path / "index", out, name, table=tmp_path / "m.parquet")
        assert (counts["moments"], counts[NOT_SAID if name == "cvat" else "never true"]) == (4, 1)
        config = IndexConfig(fps=6.0, moments_format=name)
        again = tmp_path / f"again-{name}"
        run_stage(STAGE, config, IndexInputs(split, None, out), again)
        assert read_table(again / MOMENTS_TABLE, MOMENTS).num_rows == kept
        moments = Index.open(again).moments(rows[0]["video_id"], rows[0]["expression_id"])
        assert moments.get(rows[0]["anno_id"]) == ([] if name == "csv" else None)


def test_single_videos_and_other_tables(run_stage: Callable, mevis, tmp_path: Path) -> None:
    run_stage(STAGE, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    export_moments(tmp_path / "index", tmp_path / "b.parquet", "parquet", videos=["b"])
    table = read_table(tmp_path / "b.parquet", MOMENTS)
    assert table.column("video_id").to_pylist() == ["b"]
    other = tmp_path / "b.parquet"
    export_moments(tmp_path / "index", tmp_path / "b.csv", "csv", table=other)
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 2
    assert read_table(tmp_path / "index" / MOMENTS_TABLE, MOMENTS).num_rows == 5


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("m.csv", b"video_id,expression_id"),
        ("m.JSON", b'{"format": "tgl-moments"'),
        ("m.parquet", b"PAR1"),
        ("m", b'{"format": "tgl-moments"'),
    ],
)
def test_the_suffix_decides_the_format(
    run_stage: Callable, mevis, tmp_path: Path, name: str, begins: bytes
) -> None:
    run_stage(STAGE, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    export_moments(tmp_path / "index", tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_moments_of_a_folder_that_a_stage_wrote(run_stage: Callable, mevis, tmp_path: Path) -> None:
    run_stage(STAGE, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    export_moments(tmp_path / "index", tmp_path / "a.csv", table=tmp_path / "index")
    export_moments(tmp_path / "index", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
