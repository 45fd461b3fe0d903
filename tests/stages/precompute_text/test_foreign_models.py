"""Folders of strangers: their code never runs, their pickles are not read, damage is one line."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from file_damage import damaged_copies
from safetensors.torch import load_file, save_file
from transformers import dynamic_module_utils

from schemas.errors import CorruptInput, SchemaMismatch, TglError
from stages.core.engine.runtime import Runtime
from stages.core.model.text_encoders.transformer import TransformerEncoder
from stages.tools.select_moments.scorers import load_scorer

WEIGHTS = "model.safetensors"
SENTENCES = ["a cat jumping", "the dog runs"]


def load_encoder(folder: str, runtime: Runtime) -> TransformerEncoder:
    return TransformerEncoder(folder, 8, "mean", runtime)


def encode(folder: Path) -> None:
    encoder = load_encoder(str(folder), Runtime(workers=1, device="cpu"))
    encoder.lengths(SENTENCES)
    encoder.encode(SENTENCES)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def encoder(tiny_roberta: Path, tmp_path: Path) -> Path:
    """A text encoder that a test may change."""
    return shutil.copytree(tiny_roberta, tmp_path / "encoder")


_EVIL = "import pathlib\npathlib.Path({mark!r}).touch()\nclass Any: pass\n"
_OWN = {"AutoConfig": "evil.Any", "AutoModel": "evil.Any", "AutoTokenizer": ["evil.Any", None]}


def told(load: Callable[[str, Runtime], object], folder: Path) -> str:
    try:
        load(str(folder), Runtime(workers=1, device="cpu"))
    except TglError as error:
        return str(error)
    return "loaded"


def test_a_model_s_own_code_is_neither_run_nor_asked_for(
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 20))
    mark = tmp_path / "mark"
    (encoder / "evil.py").write_text(_EVIL.format(mark=str(mark)))
    edit(encoder / "config.json", auto_map=_OWN)
    assert told(load_encoder, encoder) == "loaded"
    own = {"auto_map": _OWN, "tokenizer_class": "EvilTokenizer"}
    edit(encoder / "tokenizer_config.json", **own)
    told(load_encoder, encoder)
    edit(encoder / "config.json", model_type="evil")
    for load in (load_encoder, load_scorer):
        assert "which is never run" in told(load, encoder)
    assert "[y/N]" not in "".join(capfd.readouterr())
    assert not mark.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation": "kernels-community/flash-attn"},
        {"_attn_implementation": {"": "sdpa", "text_config": "someone/kernel"}},
        {"text_config": {"attn_implementation": "paged|someone/kernel"}},
    ],
)
def test_a_kernel_on_the_hub_is_neither_fetched_nor_run(
    encoder: Path, change: dict[str, object]
) -> None:
    edit(encoder / "config.json", **change)
    with pytest.raises(SchemaMismatch, match="attn_implementation names code from elsewhere"):
        encode(encoder)
    edit(encoder / "config.json", attn_implementation="eager", _attn_implementation=None)
    edit(encoder / "config.json", text_config=None)
    encode(encoder)


def test_pickled_weights_are_refused_with_the_way_to_convert_them(encoder: Path) -> None:
    torch.save(load_file(encoder / WEIGHTS), encoder / "pytorch_model.bin")
    (encoder / WEIGHTS).unlink()
    with pytest.raises(CorruptInput, match=r"only pytorch_model\.bin") as caught:
        encode(encoder)
    assert "save_pretrained" in str(caught.value)
    (encoder / "pytorch_model.bin").unlink()
    with pytest.raises(CorruptInput, match="no weights in the format safetensors"):
        encode(encoder)


def test_missing_weights_are_not_made_up(encoder: Path) -> None:
    weights = load_file(encoder / WEIGHTS)
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, encoder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(SchemaMismatch, match=r"lacks 1 of the model's weights \(encoder\.layer"):
        encode(encoder)


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        ({"num_hidden_layers": 10**6}, SchemaMismatch, "many more parts"),
        ({"hidden_size": 2**16}, SchemaMismatch, "other sizes"),
        ({"vocab_size": 2**40}, SchemaMismatch, "other sizes"),
        ({"num_labels": 10**9}, CorruptInput, "num_labels"),
    ],
)
def test_absurd_configurations_are_refused_before_they_take_memory(
    encoder: Path, change: dict[str, int], error: type[TglError], line: str
) -> None:
    edit(encoder / "config.json", **change)
    with pytest.raises(error, match=line):
        encode(encoder)


@pytest.mark.parametrize(
    "name", ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"]
)
def test_no_damage_of_an_encoder_hangs(
    tiny_roberta: Path, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no digest of it: a changed bit may give other numbers."""
    for damage, folder in damaged_copies(tiny_roberta, name, tmp_path / "copy"):
        try:
            encode(folder)
            optional = damage == "missing" and name == "tokenizer_config.json"
            assert optional or damage.startswith("flipped"), damage
        except TglError as error:
            assert "\n" not in str(error), damage  # noqa: PT017 (flips may go either way)
    assert "Traceback" not in "".join(capfd.readouterr())
