"""Image-text models behind one interface: frames and sentences in, similarities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer, Blip2ForImageTextRetrieval

from schemas.errors import ConfigError
from stages.core.engine.runtime import Runtime
from stages.core.model.device import autocast, pick_device
from stages.core.model.hub import local_folder
from stages.core.model.pretrained import load_pretrained, load_pretrained_model, model_errors
from stages.tools.select_moments.config import MODEL_OPTION
from stages.tools.select_moments.pixels import PREPROCESSOR, Preprocessor, load_preprocessor

_CLIP_TYPES = ("clip", "siglip", "siglip2")
_BLIP2 = "blip-2"


class FrameScorer(Protocol):
    """One model."""

    def encode(self, sentences: Sequence[str]) -> Any:
        """What `score` needs of the sentences; computed once a video."""

    def score(self, frames: Sequence[np.ndarray], sentences: Any) -> np.ndarray:
        """Cosine similarities of uint8 RGB frames (H, W, 3) and E sentences, float32 (B, E)."""


class TwoTowerScorer:
    """CLIP and SigLIP: one vector for a frame, one for a sentence."""

    def __init__(self, model: Any, tokenizer: Any, pixels: Preprocessor, runtime: Runtime):
        self._device = pick_device(runtime.device)
        self._model = model.to(self._device).eval()
        self._tokenizer = tokenizer
        self._pixels = pixels
        self._precision = runtime.precision
        self._length = int(model.config.text_config.max_position_embeddings)
        # SigLIP was trained on padding to full length and takes its vector from the last token.
        self._padding = "max_length" if model.config.model_type.startswith("siglip") else True

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Unit vectors of the sentences, (E, D)."""
        found = self._tokenizer(
            list(sentences),
            padding=self._padding,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )
        inputs = {
            k: found[k].to(self._device) for k in ("input_ids", "attention_mask") if k in found
        }
        with autocast(self._precision, self._device):
            return _unit(self._model.get_text_features(**inputs))

    @torch.inference_mode()
    def score(self, frames: Sequence[np.ndarray], sentences: Tensor) -> np.ndarray:
        """See :class:`FrameScorer`."""
        pixels = self._pixels(frames).to(self._device)
        with autocast(self._precision, self._device):
            vectors = _unit(self._model.get_image_features(pixel_values=pixels))  # (B, D)
        return (vectors @ sentences.T).float().cpu().numpy()


class Blip2Scorer:
    """BLIP-2's image-text contrast: the best of a frame's query vectors for a sentence."""

    def __init__(self, model: Any, tokenizer: Any, pixels: Preprocessor, runtime: Runtime):
        self._device = pick_device(runtime.device)
        self._model = model.to(self._device).eval()
        self._tokenizer = tokenizer
        self._pixels = pixels
        self._precision = runtime.precision
        positions = int(model.config.qformer_config.max_position_embeddings)
        self._length = positions - int(model.config.num_query_tokens)

    def encode(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and masks of the sentences, (E, N) each."""
        found = self._tokenizer(
            list(sentences),
            padding=True,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )
        ids, mask = found["input_ids"], found["attention_mask"]
        image_token = getattr(self._model.config, "image_token_index", None)
        if image_token is not None:
            # Newer checkpoints expect a place for each query before the text, and cut it off.
            places = (len(ids), int(self._model.config.num_query_tokens))
            ids = torch.cat([torch.full(places, image_token, dtype=ids.dtype), ids], dim=1)
            mask = torch.cat([torch.ones(places, dtype=mask.dtype), mask], dim=1)
        return {"input_ids": ids.to(self._device), "attention_mask": mask.to(self._device)}

    @torch.inference_mode()
    def score(self, frames: Sequence[np.ndarray], sentences: dict[str, Tensor]) -> np.ndarray:
        """See :class:`FrameScorer`."""
        pixels = self._pixels(frames).to(self._device)
        with autocast(self._precision, self._device):
            found = self._model(
                pixel_values=pixels, use_image_text_matching_head=False, **sentences
            )
        return found.logits_per_image.float().cpu().numpy()


class _Checked:
    """A scorer whose failures are told as the fault of the model's files."""

    def __init__(self, scorer: FrameScorer, name: str):
        self._scorer = scorer
        self._name = name

    def encode(self, sentences: Sequence[str]) -> Any:
        """See :class:`FrameScorer`."""
        with model_errors(self._name, "its tokenizer and its model do not fit each other"):
            return self._scorer.encode(sentences)

    def score(self, frames: Sequence[np.ndarray], sentences: Any) -> np.ndarray:
        """See :class:`FrameScorer`."""
        with model_errors(self._name, "its image rules and its model do not fit each other"):
            return self._scorer.score(frames, sentences)


def load_scorer(name: str, runtime: Runtime) -> FrameScorer:
    """The scorer of a local folder or a hub id.

    Raises:
        ConfigError: a model of another family.
        MissingInput: no such folder, or a hub id that is neither cached nor to be reached.
        CorruptInput: transformers cannot load it.
    """
    config = load_pretrained(AutoConfig, name, option=MODEL_OPTION)
    kinds = {**dict.fromkeys(_CLIP_TYPES, AutoModel), _BLIP2: Blip2ForImageTextRetrieval}
    kind = kinds.get(config.model_type)
    if kind is None:
        raise ConfigError(
            f"is a {config.model_type} model, one of {', '.join(kinds)} is needed",
            where=name,
        )
    model = load_pretrained_model(kind, name, option=MODEL_OPTION)
    tokenizer = load_pretrained(AutoTokenizer, name, option=MODEL_OPTION)
    scorer = Blip2Scorer if config.model_type == _BLIP2 else TwoTowerScorer
    with model_errors(name, "is no image-text model"):
        return _Checked(scorer(model, tokenizer, load_preprocessor(_files(name)), runtime), name)


def _files(name: str) -> Path:
    """The folder with a model's small files."""
    folder = local_folder(name)
    if folder is not None:
        return folder
    from transformers.utils import cached_file

    return Path(str(cached_file(name, PREPROCESSOR))).parent


def _unit(found: Any) -> Tensor:
    """Vectors of length one; transformers 5 wraps what 4 returned bare."""
    vectors = found if isinstance(found, Tensor) else found.pooler_output
    return F.normalize(vectors.float(), dim=-1)
