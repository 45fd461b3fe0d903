"""Processors without torchvision, and one line where there is no way around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoTokenizer
from transformers.utils import is_sentencepiece_available, is_torchvision_available
from word_tokenizer import save_word_tokenizer

from schemas.errors import ConfigError, CorruptInput, MissingInput
from stages.core.model.loading.pretrained import load_pretrained
from stages.core.model.loading.processors import (
    load_config,
    load_image_processor,
    load_processor,
)

OPTION = "--judge"
QWEN_TOKENS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %} {{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
without_torchvision = pytest.mark.skipif(
    is_torchvision_available(), reason="torchvision is installed"
)


def save_files(folder: Path, model_type: str, processor: str, **settings: Any) -> str:
    """The files of a model but its weights; returns its name."""
    save_word_tokenizer(folder, ["a", "dog", "jumps"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(QWEN_TOKENS, special_tokens=True)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    document = {"image_processor_type": processor, **settings}
    (folder / "preprocessor_config.json").write_text(json.dumps(document))
    return str(folder)


def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("model_type", "processor"),
    [
        ("clip", "CLIPImageProcessor"),
        ("siglip", "SiglipImageProcessor"),
        ("grounding-dino", "GroundingDinoImageProcessor"),
        ("owlv2", "Owlv2ImageProcessor"),
        ("qwen3_vl", "Qwen2VLImageProcessorFast"),
    ],
)
def test_image_processors_run_with_pillow(tmp_path: Path, model_type: str, processor: str) -> None:
    name = save_files(tmp_path, model_type, processor)
    loaded = load_image_processor(name, option=OPTION)
    assert type(loaded).__name__.endswith("Pil")
    expected = AutoImageProcessor.from_pretrained(name, backend="pil")(frame(), return_tensors="pt")
    found = loaded(frame(), return_tensors="pt")
    assert torch.equal(found["pixel_values"], expected["pixel_values"])


@pytest.mark.parametrize("model_type", ["qwen3_vl", "qwen3_5", "qwen2_5_vl"])
def test_a_model_of_videos_takes_frames_as_images(tmp_path: Path, model_type: str) -> None:
    name = save_files(tmp_path, model_type, "Qwen2VLImageProcessorFast", patch_size=14)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    processor = load_processor(name, option=OPTION)
    assert processor.chat_template == TEMPLATE
    content = [{"type": "image"}, {"type": "text", "text": "a dog jumps"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    inputs = processor(text=[text], images=[frame()], return_tensors="pt")
    alone = load_image_processor(name, option=OPTION)(frame(), return_tensors="pt")
    assert torch.equal(inputs["pixel_values"], alone["pixel_values"])
    grid = inputs["image_grid_thw"][0]
    pads = inputs["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert int(pads.sum()) == int(grid.prod()) // processor.image_processor.merge_size**2


def test_a_processor_of_images_and_text_is_loaded_whole(tmp_path: Path) -> None:
    name = save_files(tmp_path, "clip", "CLIPImageProcessor", processor_class="CLIPProcessor")
    processor = load_processor(name, option=OPTION)
    assert type(processor).__name__ == "CLIPProcessor"
    assert type(processor.image_processor).__name__ == "CLIPImageProcessorPil"
    inputs = processor(text=["a dog"], images=[frame()], return_tensors="pt")
    assert inputs["input_ids"].shape[0] == 1


@without_torchvision
@pytest.mark.parametrize("model_type", ["sam3", "sam3_video"])
def test_torchvision_is_asked_for_in_one_line(tmp_path: Path, model_type: str) -> None:
    name = save_files(tmp_path, model_type, "Sam3ImageProcessorFast")
    for load in (load_image_processor, load_processor):
        with pytest.raises(MissingInput) as caught:
            load(name, option=OPTION)
        assert str(caught.value) == (
            f"{name}: needs the package torchvision; pip install 'tgl[sam3]'"
        )


@without_torchvision
def test_another_models_need_of_torchvision_names_it_alone(tmp_path: Path) -> None:
    name = save_files(tmp_path, "sam2_video", "Sam2ImageProcessorFast")
    with pytest.raises(MissingInput, match="needs the package torchvision; pip install torchv"):
        load_image_processor(name, option=OPTION)


@pytest.mark.skipif(is_sentencepiece_available(), reason="sentencepiece is installed")
def test_a_tokenizers_package_is_asked_for_in_one_line(tmp_path: Path) -> None:
    name = save_files(tmp_path, "siglip", "SiglipImageProcessor")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "SiglipTokenizer"}')
    with pytest.raises(MissingInput) as caught:
        load_pretrained(AutoTokenizer, name, option=OPTION)
    assert str(caught.value) == (
        f"{name}: needs the package sentencepiece; pip install sentencepiece"
    )


def test_a_folder_without_settings_is_named(tmp_path: Path) -> None:
    name = save_files(tmp_path, "clip", "CLIPImageProcessor")
    (tmp_path / "preprocessor_config.json").unlink()
    for load in (load_image_processor, load_processor):
        with pytest.raises(MissingInput, match=r"has no preprocessor_config\.json"):
            load(name, option=OPTION)


def test_damaged_settings_are_one_line(tmp_path: Path) -> None:
    name = save_files(tmp_path, "qwen3_vl", "Qwen2VLImageProcessorFast")
    (tmp_path / "preprocessor_config.json").write_text("{")
    for load in (load_image_processor, load_processor):
        with pytest.raises(CorruptInput) as caught:
            load(name, option=OPTION)
        assert "\n" not in str(caught.value)


def test_a_wrong_family_is_one_line_with_those_that_fit(tmp_path: Path) -> None:
    name = save_files(tmp_path, "clip", "CLIPImageProcessor")
    assert load_config(name, ("clip", "siglip"), option=OPTION).model_type == "clip"
    with pytest.raises(ConfigError) as caught:
        load_config(name, ("owlv2", "sam3"), option=OPTION)
    assert str(caught.value) == (
        f"{name}: is a clip model, one of owlv2, sam3 is needed; name another model with --judge"
    )
