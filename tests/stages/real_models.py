"""Models of the published configurations with random weights, saved as the published ones are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaModel
from word_tokenizer import save_word_tokenizer

from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import sam21_preset


def save_sam2(folder: Path, size: str) -> Path:
    """Save SAM 2.1 of a published size, at its 1024 px."""
    torch.manual_seed(0)
    build_backbone(sam21_preset(size)).sam.save_pretrained(folder)
    return folder


def save_roberta(folder: Path, sentences: Sequence[str]) -> Path:
    """Save RoBERTa-base and a tokenizer of the sentences' words, numbered within its vocabulary."""
    words = dict.fromkeys(word for sentence in sentences for word in sentence.split())
    save_word_tokenizer(folder, list(words))
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
