"""A tiny random text encoder, saved as transformers saves real ones."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaModel
from word_tokenizer import save_word_tokenizer

SENTENCE = "a the left right one giraffe bending its neck down jumps jumping runs and cat dog s"
WORDS = SENTENCE.split()
MAX_TOKENS = 12


def save_encoder(folder: Path) -> Path:
    """Write a random RoBERTa of width 16 and a word tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
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
