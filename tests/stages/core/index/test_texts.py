"""Texts that processes share: the same as those of the folder, from a file that is mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import TEXTS_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import TEXTS
from stages.core.index.texts import MAPPED_SUFFIX, TextStore

SENTENCES = ("the cat", "the other cat jumping", "")
WIDTH = 8


@pytest.fixture
def texts(tmp_path: Path) -> TextStore:
    rng = np.random.default_rng(0)
    rows = [
        {
            "text_id": str(number),
            "expression": sentence,
            "tokens": sentence.split(),
            "embeddings": rng.normal(size=len(sentence.split()) * WIDTH).astype(np.float16),
            "dim": WIDTH,
            "pooled": rng.normal(size=WIDTH).astype(np.float16),
            "motion": [word.endswith("ing") for word in sentence.split()],
            "cut": False,
        }
        for number, sentence in enumerate(SENTENCES)
    ]
    rows = [{name: row[name] for name in TEXTS.schema.names if name in row} for row in rows]
    write_table(tmp_path / TEXTS_TABLE, rows_of(rows, TEXTS), TEXTS)
    return TextStore.open(tmp_path)


def test_a_mapped_file_has_the_same_texts(texts: TextStore, tmp_path: Path) -> None:
    path = tmp_path / f"texts{MAPPED_SUFFIX}"
    texts.write_mapped(path)
    assert {file.name for file in tmp_path.iterdir()} == {TEXTS_TABLE, path.name}
    mapped = TextStore.open(path)
    assert mapped.dim == texts.dim
    for sentence in SENTENCES:
        one, two = mapped.get(sentence), texts.get(sentence)
        assert one.tokens == two.tokens
        for name in ("embeddings", "pooled", "motion"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
    assert "another" not in mapped


def test_reading_it_takes_no_memory_of_its_own(texts: TextStore, tmp_path: Path) -> None:
    path = tmp_path / f"texts{MAPPED_SUFFIX}"
    texts.write_mapped(path)
    before = pa.total_allocated_bytes()
    mapped = TextStore.open(path)
    assert pa.total_allocated_bytes() - before < mapped.nbytes / 2


def test_a_missing_or_damaged_file_is_named(texts: TextStore, tmp_path: Path) -> None:
    path = tmp_path / f"texts{MAPPED_SUFFIX}"
    with pytest.raises(MissingInput, match="no such texts"):
        TextStore.open(path)
    texts.write_mapped(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptInput, match=path.name):
        TextStore.open(path)
