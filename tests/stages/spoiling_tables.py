"""Strategies that spoil Parquet tables, as a foreign tool might write them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from spoiling import WILD_TEXT

TEXT = st.one_of(
    st.sampled_from([name for name in WILD_TEXT if name != "\ud800"]), st.text(max_size=5)
)
NUMBERS = st.one_of(st.integers(-5, 20), st.sampled_from([2**31 - 1, -(2**31)]))


def _value(draw: st.DrawFn, kind: pa.DataType) -> Any:
    """A wild value that a column of this type can hold."""
    if pa.types.is_string(kind):
        return draw(TEXT)
    if pa.types.is_binary(kind):
        return draw(st.binary(max_size=8))
    if pa.types.is_list(kind):
        found = [_value(draw, kind.value_type) for _ in range(draw(st.integers(0, 3)))]
        return [None, *found] if draw(st.integers(0, 4)) == 0 else found
    if pa.types.is_boolean(kind):
        return draw(st.booleans())
    if kind == pa.uint16():
        return draw(st.integers(0, 2**16 - 1))
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
