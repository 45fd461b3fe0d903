"""Tiny random detectors of the real classes, saved as transformers saves real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessorPil,
    PreTrainedTokenizerFast,
    SwinConfig,
)

_SENTENCE = (
    "the left right one jumps two that run a flying cow dog black and white giraffe runs moving "
    "ball red circle away from"
)
WORDS = _SENTENCE.split()
_BERT = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
"""Numbers that Grounding DINO expects of its tokens."""
_VOCABULARY = 1100
_FIRST_WORD = 200
DINO_TOKENS, OWL_TOKENS, SAM3_TOKENS = 16, 12, 32
"""Tokens that the text encoders take."""


def save_detector(family: str, folder: Path) -> Path:
    """Write a random model with its processor.

    Args:
        family: grounding-dino, mm-grounding-dino, owlv2; or sam3, the published folder of detector
            and tracker, which needs torchvision (see torchvision_operators.py).
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if family == "owlv2":
        _owlv2(folder)
    elif family == "sam3":
        _sam3(folder)
    else:
        _dino(family, folder)
    return folder


def _dino(family: str, folder: Path) -> None:
    config, model = {
        "grounding-dino": (GroundingDinoConfig, GroundingDinoForObjectDetection),
        "mm-grounding-dino": (MMGroundingDinoConfig, MMGroundingDinoForObjectDetection),
    }[family]
    vision = SwinConfig(
        image_size=32,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    text = BertConfig(
        vocab_size=_VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    made = model(
        config(
            backbone_config=vision,
            text_config=text,
            num_queries=20,
            encoder_layers=1,
            encoder_ffn_dim=32,
            encoder_attention_heads=4,
            decoder_layers=2,
            decoder_ffn_dim=32,
            decoder_attention_heads=4,
            d_model=32,
            max_text_len=DINO_TOKENS,
        )
    )
    with torch.no_grad():
        if family == "grounding-dino":
            made.model.decoder.layer_norm.weight.mul_(0.2)  # else every score is 0 or 1
        for name, parameter in made.named_parameters():
            if "class_embed" in name:  # the bias of MM Grounding DINO: every score near 0
                parameter.zero_()
    _save(made, folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 72, "longest_edge": 112}).save_pretrained(
        folder
    )
    special = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    _save_tokenizer(folder, dict(_BERT), special, DINO_TOKENS * 2)


def _owlv2(folder: Path) -> None:
    tower = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        **tower,
        "vocab_size": 64,
        "max_position_embeddings": OWL_TOKENS,
        "pad_token_id": 0,
        "bos_token_id": 62,
        "eos_token_id": 63,
    }
    vision = {**tower, "image_size": 64, "patch_size": 8}
    config = Owlv2Config(text_config=text, vision_config=vision, projection_dim=16)
    made = Owlv2ForObjectDetection(config)
    with torch.no_grad():
        made.layer_norm.weight.mul_(0.2)  # else every score is 0 or 1, and boxes are lines
        made.class_head.logit_scale.bias.add_(1)
        made.box_head.dense2.weight.mul_(0.2)
        made.box_head.dense2.bias[2:] += 2  # boxes of several patches
    _save(made, folder)
    Owlv2ImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    known = {"<pad>": 0, "<unk>": 1, "<start>": 62, "<end>": 63}
    _save_tokenizer(folder, known, ("<start>", "<end>", "<pad>", "<unk>"), OWL_TOKENS, first=2)


def _sam3(folder: Path) -> None:
    # Both exist in one process of all tests only: see torchvision_operators.py.
    from tiny_backbones import SAM3_SIZE, SAM3_WORDS, tiny_sam3_video
    from transformers import Sam3ImageProcessor, Sam3VideoModel

    made = Sam3VideoModel(tiny_sam3_video())
    _save(made, folder)
    Sam3ImageProcessor(size={"height": SAM3_SIZE, "width": SAM3_SIZE}).save_pretrained(folder)
    last = SAM3_WORDS - 1
    known = {"<pad>": 0, "<unk>": 1, "<start>": last - 1, "<end>": last}
    _save_tokenizer(folder, known, ("<start>", "<end>", "<pad>", "<unk>"), SAM3_TOKENS, first=2)


def _save(model: torch.nn.Module, folder: Path) -> None:
    """Save a model whose every parameter was drawn, those that begin as zeros too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)  # type: ignore[operator]


def _save_tokenizer(
    folder: Path,
    vocabulary: dict[str, int],
    special: Sequence[str],
    longest: int,
    first: int = _FIRST_WORD,
) -> None:
    """Write a tokenizer of whole words.

    Args:
        vocabulary: numbers of special tokens and marks, to which the words are added.
        special: names of the tokens for start, end, padding and unknown words.
    """
    vocabulary |= {word: first + number for number, word in enumerate(WORDS)}
    start, end, padding, unknown = special
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=start,
        eos_token=end,
        unk_token=unknown,
        pad_token=padding,
        model_max_length=longest,
    ).save_pretrained(folder)
