"""Image-text-to-text models as judges: a question about an outlined object, and the odds of "yes".

A prompt shows frames of one window with the track outlined in red, and asks whether the sentence is
true of it. The score is the probability of "yes" against "no", from the logits of the first token
of the answer: no prose is generated or parsed.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from schemas.errors import SchemaMismatch
from stages.core.engine.runtime import Runtime
from stages.core.model.device import autocast, pick_device
from stages.core.model.loading.pretrained import load_pretrained_model, model_errors
from stages.core.model.loading.processors import load_processor
from stages.tools.select_moments.config import MODEL_OPTION, SelectConfig, source_name
from stages.tools.select_moments.judges.drawing import outlined
from stages.tools.select_moments.judges.judge import Advance, Case, Scores, ScoringJudge
from stages.tools.select_moments.judges.looking import Plan
from stages.tools.select_moments.judges.windows import spread_windows

ACCEPT = 0.5
QUESTION = (
    "These are {frames} of a video, in order of time. One object has a red outline. Is the "
    'following true of the object with the red outline, in these frames? "{sentence}" Answer with '
    "yes or no."
)
QUESTION_FAMILIES = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
"""Types of models that take images and text and give text."""
_IMAGES_PER_BATCH = 16
_WORDS = ("yes", "no")
_KEEP_LAST = "logits_to_keep"


@dataclass(frozen=True)
class Prompt:
    """A question about a track in a window.

    Attributes:
        key: sentence, anno id, and number of the window.
        text: of the question.
        images: uint8 RGB (H, W, 3) each, in order of time.
    """

    key: tuple[str, str, int]
    text: str
    images: Sequence[np.ndarray]


class QuestionJudge(ScoringJudge):
    """Judges tracks by the answers of an image-text-to-text model.

    One forward pass answers a batch of prompts, one prompt per distinct sentence, track and window
    that shows the track.

    Args:
        config: of the run.
        runtime: device and precision.

    Raises:
        TglError: as ``load_pretrained``; also where the processor has no chat template or no token
            for yes and no.
    """

    def __init__(self, config: SelectConfig, runtime: Runtime):
        super().__init__(config, ACCEPT)
        name = config.model
        self.source = source_name(name)
        self._name = name
        self._precision = runtime.precision
        self._device = pick_device(runtime.device)
        # On an accelerator in the type of its file, which for large models is half precision.
        dtype = torch.float32 if self._device.type == "cpu" else "auto"
        self._processor = load_processor(name, option=MODEL_OPTION)
        model = load_pretrained_model(
            AutoModelForImageTextToText, name, option=MODEL_OPTION, dtype=dtype
        )
        self._model = model.to(self._device).eval()
        tokenizer = getattr(self._processor, "tokenizer", None)
        if tokenizer is None or not self._processor.chat_template:
            raise SchemaMismatch(
                "has no chat template", where=name, hint="name an instruction-tuned model"
            )
        tokenizer.padding_side = "left"  # the answer begins at the last place of every row
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._tokens = answer_tokens(tokenizer, name)

    def scores(self, case: Case, advance: Advance) -> Scores:
        """See ``ScoringJudge``."""
        plan = Plan.of(case, self._config)
        answers: dict[tuple[str, str, int], float] = {}
        batch: list[Prompt] = []
        for prompt in self._prompts(case, plan, advance):
            images = sum(len(waiting.images) for waiting in batch)
            if batch and images + len(prompt.images) > _IMAGES_PER_BATCH:
                answers |= self._answers(batch)
                batch.clear()
            batch.append(prompt)
        if batch:
            answers |= self._answers(batch)
        frames = np.zeros((len(case.pairs), case.video.num_frames))
        for number, pair in enumerate(case.pairs):
            text = case.expressions[pair.row].text
            windows = [
                answers.get((text, pair.anno_id, place), np.nan)
                for place in range(len(plan.windows))
            ]
            spread = spread_windows(np.array(windows), plan.windows, case.video.num_frames)
            frames[number] = spread * case.visible(pair.anno_id)
        return Scores(frames)

    def _prompts(self, case: Case, plan: Plan, advance: Advance) -> Iterator[Prompt]:
        """Prompts in order of time; a frame's image is kept while a window still needs it."""
        sentences: dict[str, dict[str, None]] = defaultdict(dict)
        for pair in case.pairs:
            sentences[pair.anno_id][case.expressions[pair.row].text] = None
        uses = Counter(
            (name, frame)
            for name, own in plan.samples.items()
            for frames in own
            for frame in frames
        )
        last: dict[int, list[tuple[str, int]]] = defaultdict(list)  # windows by their last frame
        for name, windows in plan.samples.items():
            for place, frames in enumerate(windows):
                if frames:
                    last[max(frames)].append((name, place))
        kept: dict[tuple[str, int], np.ndarray] = {}
        for look in plan.looks(case):
            for name, mask in look.masks.items():
                kept[name, look.frame] = outlined(look.pixels, mask)
            for name, place in last[look.frame]:
                keys = [(name, frame) for frame in plan.samples[name][place]]
                images = [kept[key] for key in keys if key in kept]
                for text in sentences[name] if images else ():
                    yield Prompt((text, name, place), question(text, len(images)), images)
                uses.subtract(keys)
                for key in keys:
                    if not uses[key]:
                        kept.pop(key, None)
            advance(1)

    @torch.inference_mode()
    def _answers(self, prompts: Sequence[Prompt]) -> dict[tuple[str, str, int], float]:
        """The probability of yes by prompt."""
        with model_errors(self._name, "its processor and its model do not fit each other"):
            texts = [self._chat(prompt) for prompt in prompts]
            images = [list(prompt.images) for prompt in prompts]
            inputs = self._processor(text=texts, images=images, padding=True, return_tensors="pt")
            inputs = inputs.to(self._device, self._model.dtype)
            with autocast(self._precision, self._device):
                logits = self._model(**inputs, **self._last_only()).logits[:, -1]
        yes, no = (logits.float()[:, ids].logsumexp(dim=1) for ids in self._tokens)
        found = (yes - no).sigmoid().cpu().tolist()
        return {prompt.key: value for prompt, value in zip(prompts, found, strict=True)}

    def _chat(self, prompt: Prompt) -> str:
        content = [{"type": "image"} for _ in prompt.images]
        message = {"role": "user", "content": [*content, {"type": "text", "text": prompt.text}]}
        return self._processor.apply_chat_template(
            [message], add_generation_prompt=True, tokenize=False, enable_thinking=False
        )

    def _last_only(self) -> Mapping[str, int]:
        """The argument that spares the logits of all places but the last, where a model has it."""
        known = inspect.signature(self._model.forward).parameters
        return {_KEEP_LAST: 1} if _KEEP_LAST in known else {}


def question(sentence: str, frames: int) -> str:
    """The question about a window of some frames."""
    shown = "one frame" if frames == 1 else f"{frames} frames"
    return QUESTION.format(frames=shown, sentence=sentence.strip())


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
