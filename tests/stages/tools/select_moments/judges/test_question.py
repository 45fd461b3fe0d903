"""Image-text-to-text models as judges: the odds of yes, batches that change nothing, counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_selectors import ANSWERS, save_answerer
from transformers import AutoModelForImageTextToText, AutoTokenizer

from schemas.errors import ConfigError, MissingInput, SchemaMismatch, TglError
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.media.frames import read_frame
from stages.core.media.rle import decode
from stages.core.model.loading.processors import load_processor
from stages.tools.select_moments.config import REFERENT, SelectConfig, SelectInputs, local_model
from stages.tools.select_moments.judges.drawing import outlined
from stages.tools.select_moments.judges.odds import OddsModel, Questions, answer_tokens
from stages.tools.select_moments.judges.question import QuestionJudge, question
from stages.tools.select_moments.referents import case_of
from stages.tools.select_moments.stage import STAGE

CPU = Runtime(workers=1, device="cpu")


def config(model: Path, **settings: object) -> SelectConfig:
    return SelectConfig(model=str(model), per=REFERENT, **settings)


@pytest.mark.parametrize("family", ["llava", "idefics3", "qwen2_vl"])
def test_scores_are_the_odds_of_yes_of_each_prompt_alone(
    family: str, tiny_answerer: Callable, tracks: Path
) -> None:
    model = tiny_answerer(family)
    case = case_of(Index.open(tracks), "a")
    judge = QuestionJudge(config(model, window=3, stride=3, frames_per_window=2), CPU)
    found = judge.scores(case, lambda n: None).frames
    expected = np.zeros_like(found)
    for number, pair in enumerate(case.pairs):
        for start in (0, 3):
            shown = [f for f in range(start, start + 3) if f in case.tracks[pair.anno_id]]
            looked = [shown[0], shown[2]] if len(shown) == 3 else shown
            if looked:
                sentence = case.expressions[pair.row].text
                expected[number, shown] = by_hand(model, case, pair.anno_id, looked, sentence)
    assert np.abs(found - expected).max() < 1e-5
    assert np.ptp(expected[expected > 0]) > 1e-4  # prompts are told apart


@torch.no_grad()
def by_hand(folder: Path, case, name: str, frames: list[int], sentence: str) -> float:
    """The odds of yes from transformers' own processor and model, with one prompt."""
    processor = load_processor(str(folder), option="--model")
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    images = [
        outlined(
            read_frame(case.video.frame_path(frame)),
            decode(case.tracks[name][frame], where="").astype(bool),
        )
        for frame in frames
    ]
    asked = {"type": "text", "text": question(sentence, len(frames))}
    content = [{"type": "image"} for _ in frames] + [asked]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    inputs = processor(text=[text], images=[images], return_tensors="pt")
    odds = model(**inputs).logits[0, -1].softmax(dim=0)
    ids = processor.tokenizer.convert_tokens_to_ids
    yes = sum(odds[ids(word)] for word in ANSWERS if word.lower() == "yes")
    no = sum(odds[ids(word)] for word in ANSWERS if word.lower() == "no")
    return float(yes / (yes + no))


def test_images_are_encoded_once_for_all_sentences(
    tiny_answerer: Callable, tracks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(Index.open(tracks), "a")
    judge = QuestionJudge(
        config(tiny_answerer("llava"), window=3, stride=3, frames_per_window=2), CPU
    )
    passes = []
    monkeypatch.setattr(judge._model._model, "forward", counting(judge._model, passes))
    before = judge.scores(case, lambda n: None).frames
    assert judge._model.shares
    # Two windows of a.0 and a.1 with two sentences each, two of a.2 with three; the first window is
    # asked again by two whole prompts, as a check.
    assert sum("pixel_values" in names for names in passes) == 6 + 2
    assert len(passes) == 2 * 6 + 2
    passes.clear()
    twice = type(case)(case.video, [*case.expressions, *case.expressions], case.tracks)
    after = judge.scores(twice, lambda n: None).frames
    assert len(passes) == 2 * 6  # equal sentences are asked once
    assert np.array_equal(after, np.concatenate([before, before]))


def counting(model: OddsModel, passes: list) -> Callable:
    """The model's forward pass, which notes the names of what it is given."""
    forward = model._model.forward

    @wraps(forward)
    def counted(**inputs: object) -> object:
        passes.append(set(inputs))
        return forward(**inputs)

    return counted


@pytest.mark.parametrize("family", ["llava", "idefics3", "qwen2_vl"])
def test_shared_questions_equal_whole_prompts(family: str, tiny_answerer: Callable) -> None:
    model = OddsModel(str(tiny_answerer(family)), CPU)
    texts = ["the left one jumps", "cow", "two that run a flying red object", "the left one run"]
    images = list(np.random.default_rng(0).integers(0, 256, (3, 30, 40, 3), np.uint8))
    shared = model.odds([Questions(images, texts), Questions(images[:1], texts[:1])])
    assert model.shares
    model.shares = False
    whole = model.odds([Questions(images, texts), Questions(images[:1], texts[:1])])
    assert [len(own) for own in shared] == [4, 1]
    for one, other in zip(shared, whole, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_model_whose_images_see_later_text_is_asked_whole_prompts(
    tiny_answerer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = OddsModel(str(tiny_answerer("llava")), CPU)
    texts, images = ["cow", "the left one"], [np.zeros((30, 40, 3), np.uint8)]
    right = model.odds([Questions(images, texts)])
    for found in ([0.9, 0.9], None, ValueError("no cache"), AttributeError("no such method")):
        other = OddsModel(str(tiny_answerer("llava")), CPU)

        def shared(questions: Questions, found: object = found) -> object:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(other, "_ask_shared", shared)
        assert other.odds([Questions(images, texts)])[0] == pytest.approx(right[0], abs=1e-6)
        assert not other.shares


def test_batches_have_few_images(tiny_answerer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    model = OddsModel(str(tiny_answerer("llava")), CPU)
    image, sizes = np.zeros((30, 40, 3), np.uint8), []
    ask = model._ask_whole
    monkeypatch.setattr(model, "_ask_whole", lambda p: sizes.append(len(p)) or ask(p))
    found = model.odds([Questions([image] * 6, ["cow"]) for _ in range(5)])
    assert sizes == [2, 2, 1]
    assert [len(own) for own in found] == [1] * 5


def test_every_spelling_of_one_token_counts(tiny_answerer: Callable) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_answerer("llava"))
    yes, no = answer_tokens(tokenizer, "m")
    assert tokenizer.convert_ids_to_tokens(yes) == ["yes", "Yes", "YES"]
    assert tokenizer.convert_ids_to_tokens(no) == ["no", "No"]


def test_the_stage(
    run_stage: Callable, tiny_answerer: Callable, tracks: Path, tmp_path: Path
) -> None:
    model = tiny_answerer("idefics3")
    inputs = SelectInputs(tracks, local_model(str(model), REFERENT))
    outcome = run_stage(STAGE, config(model, accept=0.01), inputs, tmp_path / "out")
    assert outcome.counts["tracks accepted"] == 8
    table = read_table(tmp_path / "out" / "moments.parquet", MOMENTS)
    assert set(table.column("source").to_pylist()) == {model.name}
    assert run_stage(STAGE, config(model, accept=0.01), inputs, tmp_path / "out").skipped


def test_unsuitable_models_are_refused(
    run_stage: Callable, tiny_answerer: Callable, tracks: Path, tmp_path: Path
) -> None:
    def fails(kind: type[TglError], match: str, folder: Path) -> None:
        inputs = SelectInputs(tracks, folder)
        with pytest.raises(kind, match=match) as caught:
            run_stage(STAGE, config(folder), inputs, tmp_path / "out")
        assert "\n" not in str(caught.value)

    bare = save_answerer("llava", tmp_path / "bare", template=None)
    fails(SchemaMismatch, "bare: has no chat template", bare)
    other = shutil.copytree(tiny_answerer("llava"), tmp_path / "other")
    document = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**document, "model_type": "bert"}))
    fails(ConfigError, "is a bert model, one of clip, .* or a tgl checkpoint is needed", other)
    (other / "config.json").write_text(json.dumps(document))
    words = json.loads((other / "tokenizer.json").read_text())
    for answer in ANSWERS:
        number = words["model"]["vocab"].pop(answer)
        words["model"]["vocab"][f"{answer}!"] = number
    (other / "tokenizer.json").write_text(json.dumps(words))
    fails(SchemaMismatch, "no tokens for yes and no", other)
    fails(MissingInput, "no such folder", tmp_path / "nowhere")
