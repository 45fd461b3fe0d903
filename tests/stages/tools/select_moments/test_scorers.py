"""Scores are those that transformers' own models and image processors give."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    Blip2ForImageTextRetrieval,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    CLIPModel,
    GemmaTokenizer,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipImageProcessorPil,
    SiglipModel,
)

from stages.core.engine.runtime import Runtime
from stages.tools.select_moments.scorers import load_scorer

FAMILIES = {
    "clip": (CLIPModel, CLIPImageProcessorPil, True),
    "siglip": (SiglipModel, SiglipImageProcessorPil, "max_length"),
    "siglip2": (Siglip2Model, Siglip2ImageProcessorPil, "max_length"),
    "blip-2": (Blip2ForImageTextRetrieval, BlipImageProcessorPil, True),
}
SENTENCES = ["the left one jumps", "a flying cow"]
SIZES = [(20, 70), (90, 31), (32, 32), (224, 300), (3, 200)]
CPU = Runtime(workers=1, device="cpu")


def frames_of(sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def scores_of_transformers(family: str, folder: Path, frames: list[np.ndarray]) -> np.ndarray:
    kind, processor, padding = FAMILIES[family]
    model = kind.from_pretrained(folder).eval()
    images = processor.from_pretrained(folder)(
        frames, input_data_format="channels_last", return_tensors="pt"
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer(
        SENTENCES, padding=padding, truncation=True, max_length=12, return_tensors="pt"
    )
    text = {name: text[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        if family == "blip-2":
            outputs = model(**images, **text, use_image_text_matching_head=False)
            return outputs.logits_per_image.numpy()
        logits = model(**images, **text).logits_per_image
        return ((logits - getattr(model, "logit_bias", 0)) / model.logit_scale.exp()).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_transformers(family: str, tiny_selector: Callable) -> None:
    frames = frames_of(SIZES)
    scorer = load_scorer(str(tiny_selector(family)), CPU)
    found = scorer.score(frames, scorer.encode(SENTENCES))
    truth = scores_of_transformers(family, tiny_selector(family), frames)
    assert found.dtype == np.float32
    assert np.abs(found - truth).max() < 1e-6
    assert np.ptp(truth, axis=0).min() > 1e-3  # the frames are told apart


def test_siglip_reads_lower_case_whatever_its_tokenizer_does(
    tiny_selector: Callable, tmp_path: Path
) -> None:
    """As Siglip2Tokenizer, which folders that name Gemma's own tokenizer are not read with."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581"]
    words = {word: number for number, word in enumerate([*special, *"theoywjLTJ"])}
    sentences = ["The JET", "the jet", "two TOWELS, \u00c9TE"]
    found = {}
    for kind in (GemmaTokenizer, Siglip2Tokenizer):
        folder = shutil.copytree(tiny_selector("siglip"), tmp_path / kind.__name__)
        for path in folder.glob("tokenizer*"):
            path.unlink()
        kind(vocab=words, merges=[]).save_pretrained(folder)
        assert type(AutoTokenizer.from_pretrained(folder)) is kind
        scorer = load_scorer(str(folder), CPU)
        found[kind] = scorer.encode(sentences)
    tokens = Siglip2Tokenizer(vocab=words, merges=[])(
        sentences, padding="max_length", truncation=True, max_length=12, return_tensors="pt"
    )
    model = SiglipModel.from_pretrained(folder).eval()
    with torch.no_grad():
        truth = model.get_text_features(**tokens).pooler_output
    truth = truth / truth.norm(dim=1, keepdim=True)
    for vectors in found.values():
        assert (vectors - truth).abs().max() < 1e-6
        assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])


def test_settings_nested_in_processor_config(tiny_selector: Callable, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_selector("clip"), tmp_path / "clip")
    rules = (folder / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(f'{{"image_processor": {rules}}}')
    frames = frames_of(SIZES[:1])
    found, truth = (load_scorer(str(f), CPU) for f in (folder, tiny_selector("clip")))
    scores = found.score(frames, found.encode(SENTENCES))
    assert np.array_equal(scores, truth.score(frames, truth.encode(SENTENCES)))


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_printed(
    family: str, tiny_selector: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(tiny_selector(family))
    capfd.readouterr()
    scorer = load_scorer(folder, CPU)
    scorer.score(frames_of(SIZES), scorer.encode(SENTENCES))
    assert capfd.readouterr() == ("", "")
