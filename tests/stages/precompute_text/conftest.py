"""A tiny index of sentences, and a tiny text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tiny_encoder import save_encoder

from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS


@pytest.fixture
def sentences_index(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """`sentences_index([...])`: a folder with the expressions table alone."""

    def make(sentences: Sequence[str]) -> Path:
        folder = tmp_path / "index"
        folder.mkdir(exist_ok=True)
        rows = [
            {
                "video_id": "v",
                "expression_id": str(number),
                "expression": sentence,
                "object_ids": [],
                "anno_ids": [],
            }
            for number, sentence in enumerate(sentences)
        ]
        write_table(folder / "expressions.parquet", rows_of(rows, EXPRESSIONS), EXPRESSIONS)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random RoBERTa of width 16 and a word tokenizer."""
    return save_encoder(tmp_path_factory.mktemp("roberta"))
