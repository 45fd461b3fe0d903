"""Tables of an index spoilt at random, as a foreign tool might write them: every reader of them
answers with a TglError or success. A minute's worth: see test_fuzz.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, WILD_TEXT, spoilt_bytes

from schemas.errors import TglError
from stages.build_moments.config import MOMENT_FORMATS, IndexConfig, IndexInputs
from stages.build_moments.export import export_moments
from stages.build_moments.stage import STAGE
from stages.check.check import check
from stages.check.config import CheckConfig
from stages.engine.execute import execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime
from stages.index.index import Index
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as TEXT_STAGE

RUNTIME = Runtime(workers=1, device="cpu")
TABLES = ("videos", "expressions", "moments", "masks")
TEXT = st.one_of(
    st.sampled_from([name for name in WILD_TEXT if name != "\ud800"]), st.text(max_size=5)
)
NUMBERS = st.one_of(st.integers(-5, 20), st.sampled_from([2**31 - 1, -(2**31)]))


@pytest.fixture
def sound(mevis, tmp_path: Path) -> Path:
    """An index that nobody touches."""
    out = tmp_path / "sound"
    execute(STAGE, IndexConfig(), IndexInputs(mevis.write()), out, runtime=RUNTIME,
            progress=SilentProgress())  # fmt: skip
    return out


def _value(draw: st.DrawFn, kind: pa.DataType) -> Any:
    """A wild value that a column of this type can hold."""
    if pa.types.is_string(kind):
        return draw(TEXT)
    if pa.types.is_binary(kind):
        return draw(st.binary(max_size=8))
    if pa.types.is_list(kind):
        found = [_value(draw, kind.value_type) for _ in range(draw(st.integers(0, 3)))]
        return [None, *found] if draw(st.integers(0, 4)) == 0 else found
    if pa.types.is_floating(kind):
        return draw(st.sampled_from([0.0, -1.0, 1e30, float("nan"), float("inf")]))
    return draw(NUMBERS)


@st.composite
def spoilt_table(draw: st.DrawFn, table: pa.Table) -> pa.Table:
    """`table` with a few values changed, or with rows doubled, dropped or turned round, or a
    column dropped or of another type."""
    rows = table.to_pylist()
    for _ in range(draw(st.integers(0, 3))):
        if rows:
            field = draw(st.sampled_from(list(table.schema)))
            draw(st.sampled_from(rows))[field.name] = _value(draw, field.type)
    kind = draw(st.sampled_from(["values", "values", "twice", "fewer", "turned", "nulls", "text"]))
    if kind == "twice" and rows:
        rows.append(dict(draw(st.sampled_from(rows))))
    elif kind == "fewer":
        rows = rows[draw(st.integers(0, len(rows))) :]
    elif kind == "turned":
        rows.reverse()
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    changed = pa.Table.from_pylist(rows, schema=schema.with_metadata(table.schema.metadata))
    place = draw(st.integers(0, len(schema) - 1))
    if kind == "nulls":
        return changed.set_column(
            place, schema[place].name, pa.nulls(len(rows), schema[place].type)
        )
    if kind == "text":
        return changed.set_column(place, schema[place].name, pa.array(["x"] * len(rows)))
    return changed


def _check_line(error: TglError) -> None:
    assert "\n" not in str(error)


def _read_everything(index: Index) -> None:
    for expression in index.expressions:
        index.relevant(*expression.key)
        for anno_id in expression.anno_ids:
            for frame in index.masks.frames_of(anno_id):
                index.masks.mask(anno_id, frame)


@pytest.mark.parametrize("name", TABLES)
@QUICK
@given(data=st.data())
def test_readers_of_an_index(name: str, data: st.DataObject, sound: Path) -> None:
    index = sound.with_name("index")
    shutil.rmtree(index, ignore_errors=True)
    shutil.copytree(sound, index)
    path = index / f"{name}.parquet"
    if data.draw(st.integers(0, 3)):
        pq.write_table(data.draw(spoilt_table(pq.read_table(path))), path)
    else:
        path.write_bytes(data.draw(spoilt_bytes(path.read_bytes())))
    before = set(sound.parent.rglob("*"))
    moments_format = data.draw(st.sampled_from(MOMENT_FORMATS))
    out = sound.parent / "out"
    attempts = [
        lambda: _read_everything(Index.open(index)),
        lambda: check(index, CheckConfig(), runtime=RUNTIME, progress=SilentProgress()),
        lambda: check(path, CheckConfig(), runtime=RUNTIME, progress=SilentProgress()),
        lambda: export_moments(index, out / "moments", moments_format, union=True, fps=25.0),
        lambda: execute(
            TEXT_STAGE, TextConfig(dim=8), TextInputs(index), out / "text", runtime=RUNTIME,
            progress=SilentProgress(),
        ),
    ]  # fmt: skip
    for attempt in attempts:
        try:
            attempt()
        except TglError as error:
            _check_line(error)
    shutil.rmtree(out, ignore_errors=True)
    assert set(sound.parent.rglob("*")) == before
