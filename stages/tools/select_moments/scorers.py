"""Image-text models behind one interface: frames and sentences in, similarities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers.normalizers import Lowercase
from torch import Tensor
from transformers import (
    AutoModel,
    AutoTokenizer,
    Blip2ForImageTextRetrieval,
)

from stages.core.engine.runtime import Runtime
from stages.core.model.device import autocast, pick_device
from stages.core.model.loading.families import BLIP2, IMAGE_TEXT
from stages.core.model.loading.pretrained import (
    load_pretrained,
    load_pretrained_model,
    model_errors,
)
from stages.core.model.loading.processors import load_config, load_image_processor
from stages.tools.select_moments.config import MODEL_OPTION

_BLIP2_TEMPERATURE = 0.07


class FrameScorer(ABC):
    """A model that compares frames with sentences.

    Args:
        name: folder or hub id of the model, for messages.
        model: its network.
        tokenizer, processor: as transformers loads them from the same place.
        runtime: device and precision.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, processor: Any, runtime: Runtime):
        self._name = name
        self._device = pick_device(runtime.device)
        self._precision = runtime.precision
        self._model = model.to(self._device).eval()
        self._tokenizer = tokenizer
        self._processor = processor

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> Any:
        """Encode the sentences of a video once, for :meth:`score`.

        Raises:
            CorruptInput: the tokenizer's files do not fit the model's.
        """
        with model_errors(self._name, "its tokenizer and its model do not fit each other"):
            return self._encode(sentences)

    @torch.inference_mode()
    def score(self, frames: Sequence[np.ndarray], sentences: Any) -> np.ndarray:
        """Compare uint8 RGB frames (H, W, 3) with E sentences.

        Args:
            frames: B of them.
            sentences: result of :meth:`encode`.

        Returns:
            cosine similarities, float32 (B, E).

        Raises:
            CorruptInput: the image processor's files do not fit the model's.
        """
        with model_errors(self._name, "its image processor and its model do not fit each other"):
            images = self._processor(
                list(frames), input_data_format="channels_last", return_tensors="pt"
            )
            return self._score(images.to(self._device), sentences).float().cpu().numpy()

    @property
    @abstractmethod
    def scale(self) -> float:
        """Factor from cosine similarities to the logits that the model was trained with."""

    @abstractmethod
    def _encode(self, sentences: Sequence[str]) -> Any:
        """Encode sentences as :meth:`_score` needs them."""

    @abstractmethod
    def _score(self, images: Any, sentences: Any) -> Tensor:
        """Cosine similarities (B, E) of the processor's output for B frames with the sentences."""

    def _tokens(
        self, sentences: Sequence[str], length: int, padding: str | bool = True
    ) -> dict[str, Tensor]:
        """Token ids and attention mask, (E, N) each; a SigLIP tokenizer gives no mask."""
        tokens = self._tokenizer(
            list(sentences),
            padding=padding,
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        return {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}


class TwoTowerScorer(FrameScorer):
    """CLIP and SigLIP: one vector per frame, one per sentence."""

    @property
    def scale(self) -> float:
        """See ``FrameScorer``."""
        return float(self._model.logit_scale.detach().exp())

    def _encode(self, sentences: Sequence[str]) -> Tensor:
        """Unit vectors, (E, D)."""
        config = self._model.config
        padding: str | bool = True
        if config.model_type.startswith("siglip"):
            # Trained on padding to full length, its vector is the last token's; and on lower case,
            # which the tokenizer in folders of SigLIP 2 may leave to its caller.
            padding = "max_length"
            sentences = [Lowercase().normalize_str(sentence) for sentence in sentences]
        length = int(config.text_config.max_position_embeddings)
        tokens = self._tokens(sentences, length, padding)
        tokens = {name: values.to(self._device) for name, values in tokens.items()}
        with autocast(self._precision, self._device):
            return _unit(self._model.get_text_features(**tokens))

    def _score(self, images: Any, sentences: Tensor) -> Tensor:
        with autocast(self._precision, self._device):
            vectors = _unit(self._model.get_image_features(**images))  # (B, D)
        return vectors @ sentences.T


class Blip2Scorer(FrameScorer):
    """BLIP-2's image-text contrast: the best of a frame's query vectors for a sentence."""

    @property
    def scale(self) -> float:
        """See ``FrameScorer``; published weights lack it, training starts from this value."""
        return 1 / _BLIP2_TEMPERATURE

    def _encode(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and masks, (E, N) each."""
        config = self._model.config
        queries = int(config.num_query_tokens)
        length = int(config.qformer_config.max_position_embeddings) - queries
        tokens = self._tokens(sentences, length)
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        image_token = getattr(config, "image_token_index", None)
        if image_token is not None:
            # Newer checkpoints expect a token for each query before the text, and cut it off.
            shape = (len(ids), queries)
            ids = torch.cat([torch.full(shape, image_token, dtype=ids.dtype), ids], dim=1)
            mask = torch.cat([torch.ones(shape, dtype=mask.dtype), mask], dim=1)
        return {"input_ids": ids.to(self._device), "attention_mask": mask.to(self._device)}

    def _score(self, images: Any, sentences: dict[str, Tensor]) -> Tensor:
        with autocast(self._precision, self._device):
            outputs = self._model(**images, use_image_text_matching_head=False, **sentences)
        return outputs.logits_per_image


def load_scorer(name: str, runtime: Runtime) -> FrameScorer:
    """Load the scorer of a local folder or a hub id.

    Raises:
        ConfigError: a model of another family.
        MissingInput: no such folder, a hub id that is neither cached nor reachable, or no
            preprocessor_config.json.
        CorruptInput: transformers cannot load it.
    """
    family = load_config(name, IMAGE_TEXT, option=MODEL_OPTION).model_type
    kind = Blip2ForImageTextRetrieval if family == BLIP2 else AutoModel
    model = load_pretrained_model(kind, name, option=MODEL_OPTION)
    tokenizer = load_pretrained(AutoTokenizer, name, option=MODEL_OPTION)
    processor = load_image_processor(name, option=MODEL_OPTION)
    scorer = Blip2Scorer if family == BLIP2 else TwoTowerScorer
    with model_errors(name, "not an image-text model"):
        return scorer(name, model, tokenizer, processor, runtime)


def _unit(features: Any) -> Tensor:
    """Vectors of length one; transformers 5 wraps what 4 returned bare."""
    vectors = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(vectors.float(), dim=-1)
