"""Any transformers text encoder, from a local folder or a hub id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from schemas.errors import CorruptInput, MissingInput
from stages.engine.runtime import Runtime
from stages.precompute_text.config import local_encoder
from stages.precompute_text.encoding import Encoded


class TransformerEncoder:
    """Last hidden states of a text encoder.

    Args:
        encoder: a folder or a hub id; towers of two (CLIP, SigLIP) give their text side.
        max_tokens: longer sentences are cut; never above what the model's positions allow.
        pooling: "mean" over real tokens, or "first".

    Raises:
        MissingInput: no such folder, or a hub id that is neither cached nor to be reached.
        CorruptInput: the folder holds no model that transformers can read.
    """

    def __init__(self, encoder: str, max_tokens: int, pooling: str, runtime: Runtime):
        self._encoder = encoder
        self._device = torch.device(_device(runtime))
        self._autocast = runtime.precision == "bf16"
        self._pooling = pooling
        source = _source(encoder)
        self._tokenizer = _load(encoder, AutoTokenizer, source)
        self._model = _text_model(encoder, source).to(self._device).eval()
        config = self._model.config
        self.dim = int(config.hidden_size)
        self._max_tokens = min(max_tokens, _positions(config))

    def lengths(self, sentences: Sequence[str]) -> list[int]:
        """Tokens of each sentence, special ones included."""
        return [len(ids) for ids in self._tokens(sentences)["input_ids"]]

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode a batch, padded to its longest sentence; padding is masked and dropped."""
        found = self._tokens(sentences)
        inputs = {k: found[k] for k in ("input_ids", "attention_mask")}
        batch = self._tokenizer.pad(inputs, return_tensors="pt").to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            states = self._model(**batch).last_hidden_state
        vectors = states.float().cpu().numpy()  # (B, N, D)
        padding_left = self._tokenizer.padding_side == "left"
        return [self._one(found, i, vectors[i], padding_left) for i in range(len(sentences))]

    def _tokens(self, sentences: Sequence[str]) -> Any:
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


def _source(encoder: str) -> str:
    folder = local_encoder(encoder)
    if folder is None:
        return encoder
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "no such folder"
        raise MissingInput(
            what, where=folder, hint="name a folder saved with save_pretrained, or a hub id"
        )
    return str(folder)


def _load(encoder: str, kind: Any, source: str) -> Any:
    """`kind.from_pretrained(source)`, its many failures as one line."""
    local = local_encoder(encoder) is not None
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    try:
        return kind.from_pretrained(source, local_files_only=local or offline)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if local:
            raise CorruptInput(f"transformers cannot load it ({reason})", where=source) from error
        raise MissingInput(
            "is not in the local cache and the hub cannot be reached",
            where=encoder,
            hint="download it elsewhere and name its folder with --encoder",
        ) from error
    except Exception as error:
        # safetensors raises a type of its own for a truncated file
        if type(error).__name__ != "SafetensorError":
            raise
        raise CorruptInput(f"its weights are damaged ({error})", where=source) from error


def _text_model(encoder: str, source: str) -> Any:
    config = _load(encoder, AutoConfig, source)
    if hasattr(config, "text_config") and hasattr(config, "vision_config"):
        whole = _load(encoder, AutoModel, source)
        return whole.text_model
    return _load(encoder, AutoModel, source)


def _positions(config: Any) -> int:
    """Tokens that the position table holds; RoBERTa counts them from behind the padding id."""
    table = int(getattr(config, "max_position_embeddings", 0) or 10**6)
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    return table - offset


def _device(runtime: Runtime) -> str:
    if runtime.device != "auto":
        return runtime.device
    return "cuda" if torch.cuda.is_available() else "cpu"
