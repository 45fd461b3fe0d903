"""A tiny index of sentences, and tiny text encoders saved as transformers saves real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from transformers import RobertaConfig, RobertaModel
from word_tokenizer import save_word_tokenizer

from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS

SENTENCE = "a the left right one giraffe bending its neck down jumps jumping runs and cat dog s"
WORDS = SENTENCE.split()
MAX_TOKENS = 12


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
    folder = tmp_path_factory.mktemp("roberta")
    vocabulary = save_word_tokenizer(folder, WORDS)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_TOKENS + 2,
        pad_token_id=1,
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
