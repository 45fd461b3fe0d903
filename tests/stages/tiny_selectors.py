"""Tiny random image-text models, saved as transformers saves real ones.

CLIP, SigLIP, SigLIP 2 and BLIP-2 compare images with text; LLaVA and Idefics 3 (SmolVLM's class)
answer questions about images.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    Blip2Config,
    Blip2ForImageTextRetrieval,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)
from word_tokenizer import save_word_tokenizer

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
    save_word_tokenizer(folder, WORDS)
    return folder


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}"
)
_IMAGE = {"qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>"}
"""What stands for an image, where that is not <image>."""
ANSWERS = ["yes", "Yes", "YES", "no", "No"]
_CHAT_SPECIAL = ["<unk>", "<pad>", "<s>", "</s>", "<image>"]
_LANGUAGE = {
    **TOWER,
    "model_type": "llama",
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "pad_token_id": 1,
}
_VISION_OF_CHAT = {**VISION, "projection_dim": 8}


def _chat_tokenizer(more: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words; unknown words are one token, blanks are lost."""
    special = [*_CHAT_SPECIAL, *more]
    words = [*special, *ANSWERS, *WORDS, *["outline", "object", "frames", "frame", "red"]]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )
    fast.add_special_tokens({"additional_special_tokens": special[4:]})
    return fast


def _llava(folder: Path, template: str | None) -> None:
    tokenizer = _chat_tokenizer([])
    config = LlavaConfig(
        vision_config={**_VISION_OF_CHAT, "model_type": "clip_vision_model"},
        text_config={**_LANGUAGE, "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=VISION["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    ).save_pretrained(folder)


def _idefics3(folder: Path, template: str | None) -> None:
    tokenizer = _chat_tokenizer(["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"])
    config = Idefics3Config(
        vision_config={**VISION},
        text_config={**_LANGUAGE, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=1,
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    Idefics3Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_len=4, chat_template=template
    ).save_pretrained(folder)


def _qwen2_vl(folder: Path, template: str | None) -> None:
    """Write a model of images and videos, with the settings of older published folders."""
    special = ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"]
    tokenizer = _chat_tokenizer(special)
    image, start, end, video = tokenizer.convert_tokens_to_ids(special)
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 8}
    rotary = {"rope_type": "default", "mrope_section": [1, 1, 2]}
    text = {**_LANGUAGE, "vocab_size": len(tokenizer), "rope_parameters": rotary}
    del text["model_type"]
    config = Qwen2VLConfig(
        vision_config=vision,
        text_config={**text, "bos_token_id": 2, "eos_token_id": 3},
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rules = {
        "processor_class": "Qwen2VLProcessor",
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 8,
        "min_pixels": 16 * 16,
        "max_pixels": 32 * 32,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(rules))
    (folder / "chat_template.jinja").write_text(template or "")


def save_answerer(family: str, folder: Path, *, template: str | None = CHAT_TEMPLATE) -> Path:
    """Write a random image-text-to-text model with its processor, whose answers differ.

    Args:
        family: llava, idefics3 or qwen2_vl.
        template: of its chat; None writes none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    makers = {"llava": _llava, "idefics3": _idefics3, "qwen2_vl": _qwen2_vl}
    if template is not None:
        template = template.replace("IMAGE", _IMAGE.get(family, "<image>"))
    makers[family](folder, template)
    return folder
