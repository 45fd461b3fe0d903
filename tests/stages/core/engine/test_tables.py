"""Tables of an artifact: each says what made it, and is the same from equal runs."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.directories import sha256_file
from schemas.parquet import read_receipt, read_table
from schemas.receipts import read_receipt as read_folder_receipt
from schemas.tables import HISTORY
from stages.core.engine.digest import artifact_digest, file_digest
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace

STAGES = Path(__file__).resolve().parents[4] / "stages"
# Writes tables for others to read, which no run of a stage made; those of annotate name annotate.
FREE_TABLES = {
    "core/moment_formats/tables.py",
    "tools/annotate/artifact.py",
    "tools/describe/rows.py",
    "tools/segment/online/stream_tables.py",
    "tools/segment/trained.py",
}


@dataclass(frozen=True)
class CountConfig(Settings):
    rows: int = setting(2, "Rows of the table.", low=1, high=9)
    unused: int = setting(0, "Changes nothing in the rows.", low=0, high=9)


@dataclass(frozen=True)
class NoInputs(Inputs):
    def digests(self) -> dict[str, str]:
        return {"source": "ab" * 32}


def count(config: CountConfig, inputs: NoInputs, out: Workspace, **_: object) -> Result:
    rows = [{"step": n, "name": "loss", "value": n / 2} for n in range(config.rows)]
    table = pa.Table.from_pylist(rows, schema=HISTORY.schema)
    out.write_table("history.parquet", table, HISTORY)
    with out.table_writer("pieces.parquet", HISTORY) as writer:
        writer.write(table)
    return Result({"rows": config.rows})


COUNT = Stage("count", 3, CountConfig, NoInputs, count)


def make(out: Path, **settings: int) -> Path:
    execute(COUNT, CountConfig(**settings), NoInputs(), out, runtime=Runtime(workers=1),
            progress=SilentProgress(), force=True)  # fmt: skip
    return out


@pytest.mark.parametrize("name", ["history.parquet", "pieces.parquet"])
def test_a_table_out_of_its_folder_says_what_made_it(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / "made", rows=3)
    alone = (made / name).rename(tmp_path / name)
    origin = json.loads(read_receipt(alone) or "")
    folder = read_folder_receipt(made)
    assert folder is not None
    assert (origin["stage"], origin["stage_version"]) == ("count", 3)
    assert origin["config"] == {"rows": 3, "unused": 0}
    assert origin["tgl"] == folder.tgl
    assert folder.outputs.tables[name] == sha256_file(alone)


def test_equal_runs_write_equal_bytes_wherever_they_are(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "deep" / "two")
    for name in ("history.parquet", "pieces.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_what_was_made_from_a_table_stays_valid_while_its_rows_do(tmp_path: Path) -> None:
    """Another setting that gives the same rows changes the footer, but not the digest."""
    one, same, other = (
        make(tmp_path / "one"),
        make(tmp_path / "same", unused=1),
        make(tmp_path / "other", rows=3),
    )
    table = "history.parquet"
    assert (one / table).read_bytes() != (same / table).read_bytes()
    assert artifact_digest(one) == artifact_digest(same) != artifact_digest(other)
    assert file_digest(one / table) == file_digest(same / table) != file_digest(other / table)
    assert read_table(same / table, HISTORY).num_rows == 2


def test_stages_write_their_tables_through_the_workspace() -> None:
    """Else a table would not say what made it."""
    found = set()
    for path in STAGES.rglob("*.py"):
        if path.relative_to(STAGES).parts[:2] == ("core", "engine"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "schemas.parquet":
                names = {alias.name for alias in node.names}
                if names & {"write_table", "TableWriter"}:
                    found.add(path.relative_to(STAGES).as_posix())
    assert found == FREE_TABLES
