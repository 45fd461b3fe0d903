"""What a checkpoint's files may do: nothing to the masks without a word, nothing to the machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_damage import damaged_copies

from schemas.directories import list_folder
from schemas.errors import CorruptInput, SchemaMismatch, TglError
from schemas.receipts import Receipt, write_receipt
from stages.core.engine import digest
from stages.core.engine.digest import checkpoint_digest
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.loading.weights import limited_parts
from stages.core.model.tgl import TglModel

FILES = ("config.json", "model.safetensors")
GIGABYTE_KB = 2**20


@pytest.fixture
def checkpoint(make_model: Callable[..., TglModel], tmp_path: Path) -> Path:
    """A checkpoint with the receipt that train writes."""
    folder = tmp_path / "model"
    save_checkpoint(folder, make_model(), encoder="hash-16")
    write_receipt(folder, Receipt("train", 1, {}, {}, "0", {}, list_folder(folder)))
    return folder


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


# --- receipts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [100, -1, -4000])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused(checkpoint: Path, name: str, place: int) -> None:
    flip(checkpoint / name, max(place, -(checkpoint / name).stat().st_size))
    with pytest.raises(CorruptInput, match="has changed since it was made") as caught:
        load_checkpoint(checkpoint)
    assert str(checkpoint / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_changed_config_is_taken_once_the_receipt_is_gone(checkpoint: Path) -> None:
    document = json.loads((checkpoint / "config.json").read_text())
    document["model"]["memory_frames"] = 3
    (checkpoint / "config.json").write_text(json.dumps(document))
    with pytest.raises(CorruptInput, match=r"if the change is meant, remove receipt\.json"):
        load_checkpoint(checkpoint)
    (checkpoint / "receipt.json").unlink()
    assert load_checkpoint(checkpoint).segmenter.memory_frames == 3


def test_weights_without_receipt_are_compared_with_nothing(checkpoint: Path) -> None:
    (checkpoint / "receipt.json").unlink()
    flip(checkpoint / "model.safetensors", -1)
    load_checkpoint(checkpoint)


@pytest.mark.parametrize("change", [lambda text: text[:40], lambda text: "", lambda text: "{}"])
def test_a_damaged_receipt_is_no_missing_one(
    checkpoint: Path, change: Callable[[str], str]
) -> None:
    path = checkpoint / "receipt.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(TglError, match=r"receipt\.json"):
        load_checkpoint(checkpoint)


def test_weights_are_read_for_their_sum_once(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = digest.sha256_file

    def spy(path: Path) -> str:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(digest, "sha256_file", spy)
    monkeypatch.setattr(digest, "_SETTLED_NS", 0)
    checkpoint_digest(checkpoint)
    load_checkpoint(checkpoint)
    assert sorted(read) == sorted(FILES)
    flip(checkpoint / "model.safetensors", -1)
    with pytest.raises(CorruptInput, match="has changed"):
        load_checkpoint(checkpoint)


# --- memory -----------------------------------------------------------------------------------

_BOUNDED = """
import resource, sys, time
from pathlib import Path
from schemas.errors import TglError
from stages.core.model.backbones.families import load_backbone
from stages.core.model.checkpoint import load_checkpoint
import transformers
transformers.Sam2VideoModel, transformers.Sam2VideoConfig  # loads them
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for folder in sys.argv[1:]:
    load = load_backbone if Path(folder).name.startswith("backbone") else load_checkpoint
    try:
        load(folder)
        print("loaded")
    except TglError as error:
        print(error)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before)
print(time.process_time() - started)
"""
ABSURD = [
    ("memory_attention_feed_forward_hidden_size", 2**30),
    ("memory_attention_feed_forward_hidden_size", 60_000),
    ("memory_encoder_hidden_size", 60_000),
    ("memory_attention_num_layers", 10**6),
    ("memory_attention_num_layers", 60_000),
    ("memory_attention_rope_feat_sizes", [60_000, 60_000]),
    ("num_maskmem", 2**40),
    ("num_labels", 10**9),
    ("image_size", 10**9),
]


ABSURD_BACKBONES = [
    ("memory_attention_feed_forward_hidden_size", 60_000, "of another size"),
    ("memory_encoder_hidden_size", 60_000, "of another size"),
    ("memory_attention_num_layers", 60_000, "many more parts"),
    ("memory_attention_rope_feat_sizes", [60_000, 60_000], "bytes of tables"),
]
"""transformers would allocate what such a folder does not hold."""


def absurd_copy(whole: Path, copy: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """A folder with the same weights and a changed configuration."""
    copy.mkdir()
    os.link(whole / "model.safetensors", copy / "model.safetensors")
    document = json.loads((whole / "config.json").read_text())
    change(document)
    (copy / "config.json").write_text(json.dumps(document))
    return str(copy)


def test_an_absurd_configuration_takes_neither_time_nor_memory(
    checkpoint: Path, backbone: Backbone, tmp_path: Path, python: list[str]
) -> None:
    """In its own process, whose memory is measured."""
    (checkpoint / "receipt.json").unlink()
    backbone.sam.save_pretrained(tmp_path / "whole")
    folders = [
        absurd_copy(
            checkpoint,
            tmp_path / str(number),
            lambda document, field=field, value=value: document["backbone"].update({field: value}),  # type: ignore[misc]
        )
        for number, (field, value) in enumerate(ABSURD)
    ] + [
        absurd_copy(
            tmp_path / "whole",
            tmp_path / f"backbone-{number}",
            lambda document, field=field, value=value: document.update({field: value}),  # type: ignore[misc]
        )
        for number, (field, value, _) in enumerate(ABSURD_BACKBONES)
    ]
    done = subprocess.run([*python, "-c", _BOUNDED, *folders], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    *lines, grown, seconds = done.stdout.decode().splitlines()
    messages = [""] * len(ABSURD) + [message for _, _, message in ABSURD_BACKBONES]
    for folder, line, message in zip(folders, lines, messages, strict=True):
        assert line.startswith(folder), line
        assert message in line
    assert int(grown) < GIGABYTE_KB
    assert float(seconds) < 5 * len(folders)


def test_a_model_of_many_parts_is_stopped_while_it_is_made() -> None:
    import torch

    with pytest.raises(SchemaMismatch, match="many more parts"), limited_parts(2, Path("here")):
        torch.nn.ModuleList(torch.nn.Identity() for _ in range(10**9))
    torch.nn.ModuleList(torch.nn.Identity() for _ in range(2000))  # the limit is gone


# --- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_no_damage_of_a_checkpoint_hangs_or_goes_unseen(
    checkpoint: Path, name: str, tmp_path: Path
) -> None:
    for damage, folder in damaged_copies(checkpoint, name, tmp_path / "copy"):
        with pytest.raises(TglError) as caught:
            load_checkpoint(folder)
        assert "\n" not in str(caught.value), damage
        assert str(folder) in str(caught.value), damage


def test_no_damage_of_a_receipt_makes_the_weights_foreign(checkpoint: Path, tmp_path: Path) -> None:
    """A changed bit in what is not compared, such as a count, lets the checkpoint load."""
    for damage, folder in damaged_copies(checkpoint, "receipt.json", tmp_path / "copy"):
        try:
            load_checkpoint(folder)
            assert damage == "missing" or damage.startswith("flipped"), damage
        except TglError as error:
            assert "\n" not in str(error), damage  # noqa: PT017 (flips may go either way)


@pytest.mark.parametrize("name", FILES)
def test_no_damage_of_a_backbone_hangs(backbone: Backbone, name: str, tmp_path: Path) -> None:
    """A backbone has no receipt: a changed number in it is not seen, everything else is."""
    backbone.sam.save_pretrained(tmp_path / "whole")
    for damage, folder in damaged_copies(tmp_path / "whole", name, tmp_path / "copy"):
        try:
            load_backbone(folder)
            assert damage.startswith("flipped"), damage
        except TglError as error:
            assert "\n" not in str(error), damage  # noqa: PT017 (flips may go either way)
