"""Folders as published: tied names, prefixes and shards load; whatever else differs is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from file_damage import damaged_copies
from safetensors.torch import load_file, save_file
from tiny_backbones import random_backbone
from torch import Tensor

from schemas.directories import list_folder
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.receipts import Receipt, write_receipt
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone

KINDS = ("sam2", "edgetam")
IMAGE_POINTS = "shared_image_embedding.positional_embedding"
PROMPT_POINTS = "prompt_encoder.shared_embedding.positional_embedding"
INDEX = "model.safetensors.index.json"


@pytest.fixture(params=KINDS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return random_backbone(kind=request.param)


@pytest.fixture
def folder(backbone: Backbone, tmp_path: Path) -> Path:
    backbone.sam.save_pretrained(tmp_path / "published")
    return tmp_path / "published"


@pytest.fixture
def shards(backbone: Backbone, tmp_path: Path) -> Path:
    """The same in two files."""
    half = sum(t.nbytes for t in backbone.sam.state_dict().values()) * 2 // 3
    backbone.sam.save_pretrained(tmp_path / "shards", max_shard_size=half)
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) == 2
    return tmp_path / "shards"


def rewrite(folder: Path, weights: dict[str, Tensor]) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def stored(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same(loaded: Backbone, own: Backbone) -> None:
    """Compare the tables that no file holds too: transformers computes them again."""
    for ours, theirs in (
        (own.state_dict(), loaded.state_dict()),
        (dict(own.named_buffers()), dict(loaded.named_buffers())),
    ):
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
            assert tensor.dtype == theirs[name].dtype, name


def test_a_folder_loads_ready_to_train_as_a_new_model(folder: Path, backbone: Backbone) -> None:
    loaded = load_backbone(folder)
    assert_same(loaded, backbone)
    assert all(module.training for module in loaded.modules())
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_prompts_point_embedding_may_be_missing(folder: Path, backbone: Backbone) -> None:
    weights = stored(folder)
    del weights[PROMPT_POINTS]
    rewrite(folder, weights)
    loaded = load_backbone(folder)
    assert_same(loaded, backbone)
    tensors = loaded.sam.state_dict()
    assert tensors[PROMPT_POINTS].data_ptr() != tensors[IMAGE_POINTS].data_ptr()


def test_two_shards_load(shards: Path, backbone: Backbone) -> None:
    assert_same(load_backbone(shards), backbone)


@pytest.mark.parametrize("prefix", ["tracker_model.", "sam2_video.", "edgetam_video."])
def test_keys_under_a_prefix_load(folder: Path, backbone: Backbone, prefix: str) -> None:
    if prefix != "tracker_model." and not backbone.sam.base_model_prefix.startswith(prefix[:4]):
        pytest.skip("another family's prefix")
    weights = stored(folder)
    del weights[PROMPT_POINTS]
    rewrite(folder, {prefix + name: tensor for name, tensor in weights.items()})
    assert_same(load_backbone(folder), backbone)


def test_half_precision_is_computed_in_float32(backbone: Backbone, tmp_path: Path) -> None:
    backbone.sam.half().save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path).state_dict()
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(loaded[name], tensor.float() if tensor.is_floating_point() else tensor)
        assert loaded[name].dtype != torch.float16


@pytest.mark.parametrize(
    "lost", [IMAGE_POINTS, "no_memory_embedding", "vision_encoder.neck.convs.0.bias"]
)
def test_any_other_missing_key_is_refused(folder: Path, lost: str) -> None:
    weights = stored(folder)
    del weights[lost]
    rewrite(folder, weights)
    with pytest.raises(SchemaMismatch, match=rf"1 missing \({re.escape(lost)}\)") as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_all_that_differs_is_listed_at_once(folder: Path) -> None:
    weights = stored(folder)
    del weights["no_memory_embedding"], weights[PROMPT_POINTS]
    weights |= {"detector_model.head": torch.zeros(2), "no_object_pointer": torch.zeros(3)}
    rewrite(folder, weights)
    pattern = (
        r"1 missing \(no_memory_embedding\); 1 unexpected \(detector_model\.head\); "
        r"1 of another size \(no_object_pointer \(3,\) for \(1, 128\)\)"
    )
    with pytest.raises(SchemaMismatch, match=pattern):
        load_backbone(folder)


def test_a_kernel_on_the_hub_is_never_run(folder: Path) -> None:
    document = json.loads((folder / "config.json").read_text())
    document["vision_config"]["_attn_implementation"] = "kernels-community/flash-attn"
    (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(SchemaMismatch, match="names code from elsewhere, which is never run"):
        load_backbone(folder)


# --- shards ----------------------------------------------------------------------------------


def test_a_missing_shard_is_named(shards: Path) -> None:
    lost = max(shards.glob("*.safetensors"))
    lost.unlink()
    with pytest.raises(MissingInput, match=f"has no {lost.name}"):
        load_backbone(shards)


@pytest.mark.parametrize("backbone", ["sam2"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        lambda index: index["weight_map"].update(no_memory_embedding="../model.safetensors"),
        lambda index: index["weight_map"].update(no_memory_embedding="pytorch_model.bin"),
        lambda index: index["weight_map"].update(no_memory_embedding=5),
        lambda index: index.update(weight_map={}),
        lambda index: index.update(weight_map=[]),
        lambda index: index.pop("weight_map"),
    ],
)
def test_an_index_that_lists_no_files_of_the_folder_is_refused(shards: Path, change) -> None:  # type: ignore[no-untyped-def]
    index = json.loads((shards / INDEX).read_text())
    change(index)
    (shards / INDEX).write_text(json.dumps(index))
    with pytest.raises(CorruptInput, match=re.escape(INDEX)) as caught:
        load_backbone(shards)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backbone", ["sam2"], indirect=True)
def test_a_changed_shard_is_seen_where_there_is_a_receipt(shards: Path) -> None:
    write_receipt(shards, Receipt("train", 1, {}, {}, "0", {}, list_folder(shards)))
    load_backbone(shards)
    path = max(shards.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptInput, match="has changed since it was made"):
        load_backbone(shards)


def test_no_damage_of_shards_or_their_index_hangs(tmp_path: Path) -> None:
    random_backbone().sam.save_pretrained(tmp_path / "whole", max_shard_size="6MB")
    for name in (INDEX, "model-00002-of-00002.safetensors"):
        for damage, folder in damaged_copies(tmp_path / "whole", name, tmp_path / "copy"):
            try:
                load_backbone(folder)
                assert damage.startswith("flipped"), damage
            except TglError as error:
                assert "\n" not in str(error), damage  # noqa: PT017 (flips may go either way)
