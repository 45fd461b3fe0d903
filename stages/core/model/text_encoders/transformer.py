"""Any transformers text encoder, from a local folder or a hub id."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer

from stages.core.engine.runtime import Runtime
from stages.core.model.device import autocast, pick_device
from stages.core.model.loading.pretrained import (
    load_pretrained,
    load_pretrained_model,
    model_errors,
)
from stages.core.model.text_encoders.encoding import Encoded
from stages.core.model.text_encoders.recorded import ENCODER_OPTION

_UNFIT = "its tokenizer and its model do not fit each other"


class TransformerEncoder:
    """Last hidden states of a text encoder.

    Args:
        encoder: a folder or a hub id; of a model with two towers (CLIP, SigLIP) the text tower.
        max_tokens: longer sentences are cut; limited by the model's positions.
        pooling: "mean" over real tokens, or "first".

    Raises:
        MissingInput: no such folder, or a hub id that is neither cached nor reachable.
        CorruptInput: the folder has no model that transformers can read.
    """

    def __init__(self, encoder: str, max_tokens: int, pooling: str, runtime: Runtime):
        self._device = pick_device(runtime.device)
        self._precision = runtime.precision
        self._pooling = pooling
        self._encoder = encoder
        self._tokenizer = load_pretrained(AutoTokenizer, encoder, option=ENCODER_OPTION)
        with model_errors(encoder, "is no text encoder"):
            self._model = _text_model(encoder).to(self._device).eval()
            config = self._model.config
            self.dim = int(config.hidden_size)
            self._max_tokens = min(max_tokens, _positions(config))

    def lengths(self, sentences: Sequence[str]) -> list[int]:
        """Tokens of each sentence, special ones included."""
        return [len(ids) for ids in self._tokens(sentences)["input_ids"]]

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode a batch, padded to its longest sentence; padding is masked and removed."""
        found = self._tokens(sentences)
        inputs = {k: found[k] for k in ("input_ids", "attention_mask")}
        with model_errors(self._encoder, _UNFIT):
            batch = self._tokenizer.pad(inputs, return_tensors="pt").to(self._device)
            with autocast(self._precision, self._device):
                states = self._model(**batch).last_hidden_state
        vectors = states.float().cpu().numpy()  # (B, N, D)
        padding_left = self._tokenizer.padding_side == "left"
        return [self._one(found, i, vectors[i], padding_left) for i in range(len(sentences))]

    def _tokens(self, sentences: Sequence[str]) -> Any:
        with model_errors(self._encoder, _UNFIT):
            return self._tokenizer(
                list(sentences),
                truncation=True,
                max_length=self._max_tokens,
                return_offsets_mapping=self._tokenizer.is_fast,
            )

    def _one(self, found: Any, i: int, vectors: np.ndarray, padding_left: bool) -> Encoded:
        ids = found["input_ids"][i]
        own = vectors[-len(ids) :] if padding_left else vectors[: len(ids)]
        tokens = tuple(self._tokenizer.convert_ids_to_tokens(ids))
        fast = self._tokenizer.is_fast
        ranges = found["offset_mapping"][i] if fast else [(0, 0)] * len(ids)
        pooled = own.mean(axis=0) if self._pooling == "mean" else own[0]
        cut = bool(found.encodings[i].overflowing) if fast else len(ids) == self._max_tokens
        return Encoded(tokens, tuple(tuple(r) for r in ranges), own, pooled, cut)


def _text_model(encoder: str) -> Any:
    config = load_pretrained(AutoConfig, encoder, option=ENCODER_OPTION)
    # The pooler is not used, and would be reported as missing from checkpoints without one.
    unused = {"add_pooling_layer": False} if _may_have_pooler(config) else {}
    model = load_pretrained_model(AutoModel, encoder, option=ENCODER_OPTION, **unused)
    two_towers = hasattr(config, "text_config") and hasattr(config, "vision_config")
    return model.text_model if two_towers else model


def _may_have_pooler(config: Any) -> bool:
    kind = MODEL_MAPPING.get(type(config), None)
    return kind is not None and "add_pooling_layer" in inspect.signature(kind.__init__).parameters


def _positions(config: Any) -> int:
    """Size of the position table, less RoBERTa's offset: it counts from after the padding id."""
    table = int(getattr(config, "max_position_embeddings", 0) or 10**6)
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    return table - offset
