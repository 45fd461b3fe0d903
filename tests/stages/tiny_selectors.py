"""Tiny random CLIP, SigLIP, SigLIP 2 and BLIP-2 models, saved as transformers saves real ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    Blip2Config,
    Blip2ForImageTextRetrieval,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)

SIDE = 32
WORDS = ["the", "left", "one", "jumps", "two", "that", "run", "a", "flying", "cow"]
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TEXT = {**TOWER, "vocab_size": 20, "max_position_embeddings": 12, "eos_token_id": 2}
VISION = {**TOWER, "image_size": SIDE, "patch_size": 8}


def _save_tokenizer(folder: Path) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    ).save_pretrained(folder)


def _clip(folder: Path) -> None:
    CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)).save_pretrained(
        folder
    )
    CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)


def _siglip(folder: Path) -> None:
    config = SiglipConfig(text_config={**TEXT, "projection_size": 16}, vision_config=VISION)
    SiglipModel(config).save_pretrained(folder)
    _write_rules(folder, [0.5] * 3, resample=2)


def _siglip2(folder: Path) -> None:
    """Write a model of variable resolution, whose frames become lists of patches."""
    vision = {**TOWER, "num_patches": 16, "patch_size": 8}
    config = Siglip2Config(text_config={**TEXT, "projection_size": 16}, vision_config=vision)
    Siglip2Model(config).save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)


def _blip2(folder: Path) -> None:
    qformer = {
        **TOWER,
        "vocab_size": 20,
        "max_position_embeddings": 24,
        "encoder_hidden_size": 16,
        "use_qformer_text_input": True,
        "cross_attention_frequency": 1,
    }
    config = Blip2Config(
        vision_config=VISION,
        qformer_config=qformer,
        num_query_tokens=4,
        image_text_hidden_size=8,
    )
    Blip2ForImageTextRetrieval(config).save_pretrained(folder)
    _write_rules(folder, [0.48, 0.46, 0.41], resample=3)


def _write_rules(folder: Path, mean: list[float], resample: int) -> None:
    rules = {
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": resample,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(rules))


def save_selector(family: str, folder: Path) -> Path:
    """Write a random model with its tokenizer.

    Args:
        family: clip, siglip, siglip2 or blip-2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    makers = {"clip": _clip, "siglip": _siglip, "siglip2": _siglip2, "blip-2": _blip2}
    makers[family](folder)
    _save_tokenizer(folder)
    return folder
