"""A small index of known figures, and moments to compare with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for what tests share: index_mini

import pytest
from describe_mini import Row, moment_dicts, write_index

from schemas.parquet import rows_of, write_table
from schemas.tables import MOMENTS


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The index as it is."""
    return write_index(tmp_path / "index")


@pytest.fixture
def write_moments(tmp_path: Path) -> Callable[[str, Iterable[Row]], Path]:
    """`write_moments("bob", rows)`: a moments table."""

    def write(name: str, rows: Iterable[Row]) -> Path:
        path = tmp_path / f"{name}.parquet"
        write_table(path, rows_of(moment_dicts(rows), MOMENTS), MOMENTS)
        return path

    return write
