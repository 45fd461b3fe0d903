"""docs/tables.md lists every table with its columns, their types, and whether they may be null."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from schemas.tables import ALL_TABLES, TableSpec

_PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| ?(.*?) ?\|$", re.MULTILINE)


def _sections() -> dict[str, str]:
    name, *rest = re.split(r"^## (\w+)$", _PAGE.read_text(), flags=re.MULTILINE)
    assert name.startswith("# Tables")
    return dict(zip(rest[::2], rest[1::2], strict=True))


def _type(field: pa.Field) -> str:
    name = str(field.type).replace("list<item: ", "list<").replace("element: ", "")
    return f"{name} or null" if field.nullable else name


def _columns(spec: TableSpec) -> list[tuple[str, str]]:
    return [(field.name, _type(field)) for field in spec.schema]


def test_every_table_is_a_section_in_the_order_of_the_code() -> None:
    assert list(_sections()) == [spec.name for spec in ALL_TABLES]


def test_the_columns_are_those_of_the_code() -> None:
    for spec in ALL_TABLES:
        listed = [(name, kind) for name, kind, _ in _ROW.findall(_sections()[spec.name])]
        assert listed == _columns(spec), spec.name


def test_a_column_that_may_be_missing_says_so() -> None:
    for spec in ALL_TABLES:
        rows = _ROW.findall(_sections()[spec.name])
        assert {name for name, _, text in rows if "may be missing" in text} == spec.optional


def test_every_section_names_a_command_that_makes_the_table() -> None:
    for spec in ALL_TABLES:
        words = " ".join(spec.rebuild.split()[:2])
        assert words in _sections()[spec.name] or spec.name == "texts_bf16", spec.name
