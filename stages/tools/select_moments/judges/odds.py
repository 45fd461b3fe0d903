"""The odds of "yes" that an image-text-to-text model gives, from the logits of its next token.

Questions about the same images have everything up to the question's first different word in common.
Causal attention makes the keys and values of that part the same for all of them: it is computed
once, and the rest of every question reads it. A model for which this does not hold (one that lets
images attend to later text) shows it on the first images, and is then asked one whole prompt per
question.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from schemas.errors import SchemaMismatch
from stages.core.engine.failures import is_out_of_memory
from stages.core.engine.runtime import Runtime
from stages.core.model.device import autocast, pick_device, settled_precision
from stages.core.model.loading.pretrained import load_pretrained_model, model_errors
from stages.core.model.loading.processors import load_processor
from stages.tools.select_moments.config import MODEL_OPTION

QUESTION_FAMILIES = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
"""Types of models that take images and text and give text."""
_WORDS = ("yes", "no")
_THINKING = "enable_thinking"
"""Of chat templates of models that would think aloud before they answer."""
_KEEP = "logits_to_keep"
_IMAGES_PER_BATCH = 16
_QUESTIONS_PER_BATCH = 16
_SAME, _SAME_IN_HALF = 1e-3, 0.03
"""Probabilities that two ways of asking may differ by, in float32 and in bfloat16."""
_UNFIT = (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""Errors of a model that cannot go on from the keys and values of a part of the prompt."""


@dataclass(frozen=True)
class Questions:
    """Questions about the same images.

    Attributes:
        images: uint8 RGB (H, W, 3) each, in order.
        texts: the questions.
    """

    images: Sequence[np.ndarray]
    texts: Sequence[str]


class OddsModel:
    """An image-text-to-text model with its processor.

    Args:
        name: folder or hub id.
        runtime: device and precision.

    Attributes:
        shares: questions about the same images are asked together.

    Raises:
        TglError: as ``load_pretrained_model``; also where the processor has no chat template, or
            its tokenizer no token for yes and no.
    """

    def __init__(self, name: str, runtime: Runtime):
        self.shares = True
        self._checked = False
        self._name = name
        self._device = pick_device(runtime.device)
        self._precision = settled_precision(runtime.precision, self._device)
        # On an accelerator in the type of its file, which for large models is half precision.
        dtype = torch.float32 if self._device.type == "cpu" else "auto"
        self._processor = load_processor(name, option=MODEL_OPTION)
        model = load_pretrained_model(
            AutoModelForImageTextToText, name, option=MODEL_OPTION, dtype=dtype
        )
        self._model = model.to(self._device).eval()
        self._tokenizer: Any = getattr(self._processor, "tokenizer", None)
        if self._tokenizer is None or not self._processor.chat_template:
            raise SchemaMismatch(
                "has no chat template", where=name, hint="name an instruction-tuned model"
            )
        self._tokenizer.padding_side = "left"  # the answer begins at the last place of every row
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._answers = answer_tokens(self._tokenizer, name)

    @torch.inference_mode()
    def odds(self, questions: Sequence[Questions]) -> list[list[float]]:
        """The probability of yes against no for every question, from 0 to 1.

        Raises:
            CorruptInput: the processor's files do not fit the model's.
        """
        with (
            model_errors(self._name, "its processor and its model do not fit each other"),
            autocast(self._precision, self._device),
        ):
            return self._odds(questions)

    def _odds(self, questions: Sequence[Questions]) -> list[list[float]]:
        together = [self._share(own) if len(own.texts) > 1 else None for own in questions]
        alone = [
            (place, text)
            for place, own in enumerate(questions)
            if together[place] is None
            for text in own.texts
        ]
        found: list[list[float]] = [own or [] for own in together]
        for batch in _batches(alone, [len(questions[place].images) for place, _ in alone]):
            asked = [(questions[place].images, text) for place, text in batch]
            for (place, _), value in zip(batch, self._ask_whole(asked), strict=True):
                found[place].append(value)
        return found

    def _ask_whole(self, prompts: Sequence[tuple[Sequence[np.ndarray], str]]) -> list[float]:
        """Ask whole prompts as one batch."""
        inputs = self._processor(
            text=[self._chat(text, len(images)) for images, text in prompts],
            images=[list(images) for images, _ in prompts],
            padding=True,
            return_tensors="pt",
        )
        inputs = inputs.to(self._device, self._model.dtype)
        more = {_KEEP: 1} if self._keeps_logits else {}
        return self._yes(self._model(**inputs, **more).logits[:, -1])

    def _share(self, questions: Questions) -> list[float] | None:
        """Ask questions about the same images together; None if this model cannot."""
        if not self.shares:
            return None
        try:
            found = self._ask_shared(questions)
        except _UNFIT as error:
            if self._checked or is_out_of_memory(error):
                raise
            found = None
        if not self._checked:
            self._checked = True
            self.shares = found is not None and self._agrees(questions, found)
        return found if self.shares else None

    def _agrees(self, questions: Questions, found: Sequence[float]) -> bool:
        """Return whether whole prompts have the same odds."""
        whole = [self._ask_whole([(questions.images, text)])[0] for text in questions.texts[:2]]
        half = self._precision == "bf16" or self._model.dtype != torch.float32
        near = _SAME_IN_HALF if half else _SAME
        return all(abs(one - other) <= near for one, other in zip(whole, found, strict=False))

    def _ask_shared(self, questions: Questions) -> list[float] | None:
        """Ask with the keys and values of the common part; None if it cannot be cut off."""
        chats = [self._chat(text, len(questions.images)) for text in questions.texts]
        first = self._processor(
            text=[chats[0]], images=[list(questions.images)], return_tensors="pt"
        )
        ids = first["input_ids"][0].tolist()
        rests = _after_common([self._tokenizer(chat)["input_ids"] for chat in chats])
        kept = len(ids) - len(rests[0])
        if ids[kept:] != rests[0]:
            return None  # the processor changes more than the images' places
        first = first.to(self._device, self._model.dtype)
        shape = first["input_ids"].shape
        common = {n: v[:, :kept] if v.shape == shape else v for n, v in first.items()}
        memory = getattr(self._model(**common, use_cache=True), self._cache)
        found: list[float] = []
        for start in range(0, len(rests), _QUESTIONS_PER_BATCH):
            found += self._ask_rest(memory, rests[start : start + _QUESTIONS_PER_BATCH])
        return found

    def _ask_rest(self, memory: Any, rests: Sequence[Sequence[int]]) -> list[float]:
        """Ask the rest of some prompts, B token lists, each after the same memory."""
        own = copy.deepcopy(memory)
        own.batch_repeat_interleave(len(rests))
        longest = max(map(len, rests))
        # Padding on the right: causal attention hides it from the words before it.
        padded = [
            [*rest, *[self._tokenizer.pad_token_id] * (longest - len(rest))] for rest in rests
        ]
        tokens = torch.tensor(padded, device=self._device)  # (B, L)
        last = [len(rest) - 1 for rest in rests]
        kept = sorted(set(last)) if self._keeps_logits else list(range(longest))
        more: dict[str, Any] = (
            {_KEEP: torch.tensor(kept, device=self._device)} if self._keeps_logits else {}
        )
        more[self._cache] = own
        logits = self._model(input_ids=tokens, **more).logits  # (B, K, V)
        return self._yes(logits[torch.arange(len(rests)), [kept.index(place) for place in last]])

    def _yes(self, logits: Tensor) -> list[float]:
        """Odds of yes from logits (B, V)."""
        yes, no = (logits.float()[:, ids].logsumexp(dim=1) for ids in self._answers)
        return (yes - no).sigmoid().cpu().tolist()

    def _chat(self, text: str, images: int) -> str:
        content: list[Mapping[str, str]] = [{"type": "image"} for _ in range(images)]
        message = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        # A template that does not know the word warns of it, once per question.
        thinks = _THINKING in str(self._processor.chat_template)
        more = {_THINKING: False} if thinks else {}
        return self._processor.apply_chat_template(
            [message], add_generation_prompt=True, tokenize=False, **more
        )

    @property
    def _cache(self) -> str:
        """Transformers' name of keys and values, which changed in 5.24."""
        parameters = inspect.signature(self._model.forward).parameters
        return "cache" if "cache" in parameters else "past_key_values"

    @property
    def _keeps_logits(self) -> bool:
        """The model can be asked for the logits of some places alone."""
        return _KEEP in inspect.signature(self._model.forward).parameters


def _batches(items: Sequence[Any], images: Sequence[int]) -> list[list[Any]]:
    """Split items in order, so that a batch has few images."""
    batches: list[list[Any]] = []
    total = 0
    for item, count in zip(items, images, strict=True):
        if not batches or total + count > _IMAGES_PER_BATCH:
            batches.append([])
            total = 0
        batches[-1].append(item)
        total += count
    return batches


def _after_common(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """What follows the longest common beginning; at least one token is left of every row."""
    most = min(map(len, rows)) - 1
    common = 0
    while common < most and all(row[common] == rows[0][common] for row in rows):
        common += 1
    return [list(row[common:]) for row in rows]


def answer_tokens(tokenizer: Any, name: str) -> tuple[list[int], list[int]]:
    """Tokens with which an answer of yes begins, and those of no: every spelling of one token.

    Args:
        name: of the model, for messages.

    Raises:
        SchemaMismatch: the tokenizer has no such tokens.
    """
    yes, no = (_spellings(tokenizer, word) for word in _WORDS)
    if not yes or not no or set(yes) & set(no):
        raise SchemaMismatch("its tokenizer has no tokens for yes and no", where=name)
    return yes, no


def _spellings(tokenizer: Any, word: str) -> list[int]:
    found: dict[int, None] = {}
    for spelling in (word, word.capitalize(), word.upper()):
        for text in (spelling, f" {spelling}"):
            ids = tokenizer.encode(text, add_special_tokens=False)
            if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
                found[ids[0]] = None
    return list(found)
