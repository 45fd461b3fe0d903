"""Moments files spoilt at random: a TglError or success, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, error_or_success, spoilt_bytes, spoilt_json

from stages.core.datasets.moment_rows import MomentRow
from stages.core.index.index import Expression
from stages.core.moment_formats import FORMAT_NAMES
from stages.core.moment_formats.context import MomentContext, Timing
from stages.core.moment_formats.registry import moment_format

CONTEXT = MomentContext(
    (
        Expression("a", "0", "the cat", ("1",), ("7",)),
        Expression("a", "1", "a dog", (), ()),
    ),
    {"a": Timing(50, 25.0, 10, 10)},
)
SUFFIX = {"tgl": ".json", "label-studio": ".json", "cvat": ".xml", "elan": ".eaf",
          "qvhighlights": ".jsonl", "charades-sta": ".txt", "parquet": ".parquet"}  # fmt: skip


def _sound(name: str, folder: Path) -> bytes:
    """A sound file of a format."""
    path = folder / f"sound{SUFFIX.get(name, '.csv')}"
    rows = [MomentRow("a", "0", None, 0, 5), MomentRow("a", "1", None, 10, 20)]
    moment_format(name).write(path, rows, CONTEXT)
    if path.is_dir():
        path = next(path.iterdir())
    return path.read_bytes()


def _survives(name: str, path: Path) -> None:
    with error_or_success():
        for found in moment_format(name).read(path, CONTEXT):
            assert 0 <= found.start_frame < found.end_frame


@pytest.mark.parametrize("name", FORMAT_NAMES)
@QUICK
@given(data=st.data())
def test_moments_of_every_format(name: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / f"moments{SUFFIX.get(name, '.csv')}"
    path.write_bytes(data.draw(spoilt_bytes(_sound(name, tmp_path))))
    _survives(name, path)


@pytest.mark.parametrize("name", ["tgl", "label-studio", "qvhighlights"])
@QUICK
@given(data=st.data())
def test_documents_of_moments(name: str, data: st.DataObject, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in _documents(name, tmp_path)]
    place = data.draw(st.integers(0, len(lines) - 1))
    text = [json.dumps(line) for line in lines]
    text[place] = data.draw(spoilt_json(lines[place]))
    path = tmp_path / f"moments{SUFFIX[name]}"
    path.write_text("\n".join(text), encoding="utf-8")
    _survives(name, path)


def _documents(name: str, folder: Path) -> list[str]:
    content = _sound(name, folder).decode()
    return content.splitlines() if name == "qvhighlights" else [content]
