"""precompute-text through execute(), with hashed words and with a real transformers encoder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from schemas.directories import list_folder
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.layouts import TEXTS_TABLE
from schemas.parquet import read_table
from schemas.tables import TEXTS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.texts import TextStore
from stages.core.model.text_encoders import encoding
from stages.precompute_text.config import (
    TextConfig,
    TextInputs,
    installed_tagger,
    local_encoder,
)
from stages.precompute_text.stage import STAGE
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig

SENTENCES = [
    "the left giraffe bending its neck down",
    "a cat jumping",
    "a cat jumping",
    "the dog runs",
    "the one",
]


def _inputs(index: Path, encoder: str = "hash") -> TextInputs:
    return TextInputs(index, local_encoder(encoder))


def test_distinct_sentences_once(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    index = sentences_index(SENTENCES)
    outcome = run_stage(STAGE, TextConfig(dim=32), _inputs(index), tmp_path / "text")
    assert outcome.counts["expressions"] == 5
    assert outcome.counts["distinct sentences"] == 4
    store = TextStore.open(tmp_path / "text")
    text = store.get("the left giraffe bending its neck down")
    assert store.dim == 32
    assert text.tokens == ("the", "left", "giraffe", "bending", "its", "neck", "down")
    assert text.embeddings.shape == (7, 32)
    assert text.embeddings.dtype == np.float32
    assert np.allclose(text.pooled, text.embeddings.mean(axis=0), atol=2e-3)
    assert [t for t, m in zip(text.tokens, text.motion, strict=True) if m] == ["left", "bending"]
    with pytest.raises(MissingInput, match="no embedding of 'an owl'"):
        store.get("an owl")


def test_hash_is_the_same_on_every_machine(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    run_stage(STAGE, TextConfig(dim=8), _inputs(sentences_index(["a cat"])), tmp_path / "text")
    vector = TextStore.open(tmp_path / "text").get("a cat").embeddings[1]
    known = [0.0632, -0.5503, 0.3608, 1.3232, -0.2644, -0.6694, 0.7813, 0.8413]
    assert np.allclose(vector, known, atol=1e-3), vector.tolist()


def test_words_of_one_stem_are_near_each_other(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    index = sentences_index(["jumps", "jumping", "sleeps"])
    run_stage(STAGE, TextConfig(), _inputs(index), tmp_path / "text")
    store = TextStore.open(tmp_path / "text")
    jumps, jumping, sleeps = (store.get(w).pooled for w in ("jumps", "jumping", "sleeps"))

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(jumps, jumping) > 0.6 > cosine(jumps, sleeps)


def test_second_run_skips_and_other_settings_run_again(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    index, out = sentences_index(SENTENCES), tmp_path / "text"
    assert not run_stage(STAGE, TextConfig(), _inputs(index), out).skipped
    assert run_stage(STAGE, TextConfig(), _inputs(index), out).skipped
    assert not run_stage(STAGE, TextConfig(pooling="first"), _inputs(index), out).skipped
    sentences_index([*SENTENCES, "a new one"])
    assert not run_stage(STAGE, TextConfig(pooling="first"), _inputs(index), out).skipped


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    inputs = _inputs(sentences_index(SENTENCES))
    run_stage(STAGE, TextConfig(), inputs, tmp_path / "whole")
    killed_run(STAGE, TextConfig(), inputs, tmp_path / "text", after=4)
    assert not (tmp_path / "text").exists()
    run_stage(STAGE, TextConfig(), inputs, tmp_path / "text")
    assert list_folder(tmp_path / "text") == list_folder(tmp_path / "whole")


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_transformers_encoder_gives_its_own_states(
    run_stage: Callable,
    sentences_index: Callable,
    tiny_roberta: Path,
    tmp_path: Path,
    pooling: str,
) -> None:
    config = TextConfig(encoder=str(tiny_roberta), pooling=pooling)
    inputs = _inputs(sentences_index(SENTENCES), str(tiny_roberta))
    run_stage(STAGE, config, inputs, tmp_path / "text")
    store = TextStore.open(tmp_path / "text")
    tokenizer = AutoTokenizer.from_pretrained(tiny_roberta)
    model = AutoModel.from_pretrained(tiny_roberta, add_pooling_layer=False).eval()
    for sentence in set(SENTENCES):
        with torch.no_grad():
            states = model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0]
        found = store.get(sentence)
        truth = states.numpy()  # (L, D)
        assert np.allclose(found.embeddings, truth, atol=2e-3)
        pooled = truth.mean(axis=0) if pooling == "mean" else truth[0]
        assert np.allclose(found.pooled, pooled, atol=2e-3)
    found = store.get("a cat jumping")
    assert found.tokens == ("<s>", "a", "cat", "jumping", "</s>")
    assert found.motion.tolist() == [False, False, False, True, False]


def test_the_number_of_devices_changes_nothing(
    run_stage: Callable,
    sentences_index: Callable,
    tiny_roberta: Path,
    scheduler: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of two sentences; the hashed words need no torch in the other processes."""
    monkeypatch.setattr(encoding, "TOKENS_PER_BATCH", 16)
    index = sentences_index(SENTENCES)
    for encoder, runtime in (
        ("hash", Runtime(devices="meta,meta")),
        (str(tiny_roberta), Runtime(device="cpu", scheduler=scheduler)),
    ):
        config, inputs = TextConfig(encoder=encoder), _inputs(index, encoder)
        one, more = tmp_path / f"{Path(encoder).name}-one", tmp_path / f"{Path(encoder).name}-more"
        run_stage(STAGE, config, inputs, one)
        execute(STAGE, config, inputs, more, runtime=runtime, progress=SilentProgress())
        assert (one / TEXTS_TABLE).read_bytes() == (more / TEXTS_TABLE).read_bytes()


def test_long_sentences_are_cut_and_counted(
    run_stage: Callable, sentences_index: Callable, tiny_roberta: Path, tmp_path: Path
) -> None:
    long = " ".join(["cat"] * 500)
    config = TextConfig(encoder=str(tiny_roberta))
    inputs = _inputs(sentences_index([long, "a cat", "a " * 9 + "cat"]), str(tiny_roberta))
    outcome = run_stage(STAGE, config, inputs, tmp_path / "text")
    assert outcome.counts["cut to max-tokens"] == 1
    assert len(TextStore.open(tmp_path / "text").get(long).tokens) == 12
    hashed = run_stage(STAGE, TextConfig(max_tokens=5), _inputs(inputs.index), tmp_path / "hash")
    assert hashed.counts["cut to max-tokens"] == 2


@pytest.mark.parametrize("sentence", ["", "   ", "!?", "🦒", "\x00", "né à l'été", "a\nb"])
def test_odd_sentences(
    run_stage: Callable,
    sentences_index: Callable,
    tiny_roberta: Path,
    tmp_path: Path,
    sentence: str,
) -> None:
    index = sentences_index([sentence, "the cat"])
    for name, encoder in (("hash", "hash"), ("roberta", str(tiny_roberta))):
        config = TextConfig(encoder=encoder)
        run_stage(STAGE, config, _inputs(index, encoder), tmp_path / name)
        text = TextStore.open(tmp_path / name).get(sentence)
        assert len(text.tokens) == len(text.embeddings) >= 1
        assert np.isfinite(text.embeddings).all()


def _refused(run_stage: Callable, index: Path, encoder: str, out: Path) -> TglError:
    with pytest.raises(TglError) as caught:
        run_stage(STAGE, TextConfig(encoder=encoder), _inputs(index, encoder), out)
    assert "\n" not in str(caught.value)
    return caught.value


def test_encoders_that_cannot_be_read(
    run_stage: Callable, sentences_index: Callable, tiny_roberta: Path, tmp_path: Path
) -> None:
    index, out = sentences_index(SENTENCES), tmp_path / "text"
    assert isinstance(_refused(run_stage, index, "./absent", out), MissingInput)
    (tmp_path / "empty").mkdir()
    error = _refused(run_stage, index, str(tmp_path / "empty"), out)
    assert "config.json" in str(error)
    broken = tmp_path / "broken"
    shutil.copytree(tiny_roberta, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert isinstance(_refused(run_stage, index, str(broken), out), CorruptInput)
    weights.unlink()
    assert isinstance(_refused(run_stage, index, str(broken), out), CorruptInput)
    (broken / "config.json").write_text("{")
    assert isinstance(_refused(run_stage, index, str(broken), out), CorruptInput)
    (broken / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    assert isinstance(_refused(run_stage, index, str(broken), out), CorruptInput)


def test_a_hub_id_offline_fails_at_once(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    index = sentences_index(SENTENCES)
    started = time.monotonic()
    error = _refused(run_stage, index, "nobody/no-such-encoder", tmp_path / "text")
    assert isinstance(error, MissingInput)
    assert "nobody/no-such-encoder" in str(error)
    assert "--encoder" in str(error)
    assert time.monotonic() - started < 2


def test_an_index_without_sentences(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    with pytest.raises(CorruptInput, match="contains no sentences"):
        run_stage(STAGE, TextConfig(), _inputs(sentences_index([])), tmp_path / "text")
    with pytest.raises(MissingInput):
        run_stage(STAGE, TextConfig(), _inputs(tmp_path / "absent"), tmp_path / "text")


def test_numbers_that_float16_cannot_hold_are_refused(
    run_stage: Callable, sentences_index: Callable, tiny_roberta: Path, tmp_path: Path
) -> None:
    model = AutoModel.from_pretrained(tiny_roberta, add_pooling_layer=False)
    norm = model.encoder.layer[-1].output.LayerNorm
    torch.nn.init.constant_(norm.weight, 1e6)
    loud = tmp_path / "loud"
    shutil.copytree(tiny_roberta, loud)
    model.save_pretrained(loud)
    error = _refused(run_stage, sentences_index(SENTENCES), str(loud), tmp_path / "text")
    assert isinstance(error, CorruptInput)
    assert "not finite as float16" in str(error)
    inputs = _inputs(sentences_index(SENTENCES), str(loud))
    config = TextConfig(encoder=str(loud), storage="bf16")
    run_stage(STAGE, config, inputs, tmp_path / "text")
    assert abs(TextStore.open(tmp_path / "text").get("the one").embeddings).max() > 65_504


def test_bfloat16_takes_the_place_of_float16(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    inputs = _inputs(sentences_index(SENTENCES))
    run_stage(STAGE, TextConfig(dim=16), inputs, tmp_path / "half")
    run_stage(STAGE, TextConfig(dim=16, storage="bf16"), inputs, tmp_path / "bf16")
    half, rounded = TextStore.open(tmp_path / "half"), TextStore.open(tmp_path / "bf16")
    for sentence in SENTENCES:
        one, two = half.get(sentence), rounded.get(sentence)
        assert (one.tokens, two.embeddings.dtype) == (two.tokens, np.float32)
        assert np.array_equal(one.motion, two.motion)
        assert np.allclose(one.embeddings, two.embeddings, rtol=2**-8, atol=1e-6)
        assert np.allclose(one.pooled, two.pooled, rtol=2**-8, atol=1e-6)
        bits = two.embeddings.view(np.uint32)
        assert (bits & 0xFFFF == 0).all()
    with pytest.raises(SchemaMismatch, match="is the table texts_bf16, expected texts"):
        read_table(tmp_path / "bf16" / "texts.parquet", TEXTS)
    report = check(tmp_path / "bf16", CheckConfig(), runtime=Runtime(workers=1),
                   progress=SilentProgress())  # fmt: skip
    assert (report.faults, report.counts["sentences"]) == ((), 4)


def test_texts_of_a_later_version_are_refused(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    run_stage(STAGE, TextConfig(dim=8), _inputs(sentences_index(["a cat"])), tmp_path / "text")
    path = tmp_path / "text" / "texts.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"tgl.version": b"9"}),
                   path)  # fmt: skip
    with pytest.raises(SchemaMismatch, match=r"version 9.*rebuild it with tgl precompute-text"):
        TextStore.open(tmp_path / "text")


def test_settings_of_later_versions_leave_older_texts_up_to_date() -> None:
    """Another value here means that everybody's texts, and what was trained on them, are stale."""
    assert TextConfig().to_dict() == {
        "encoder": "hash", "pooling": "mean", "max_tokens": 64, "dim": 128,
    }  # fmt: skip
    changed = TextConfig(storage="bf16", motion_words="list").to_dict()
    assert (changed["storage"], changed["motion_words"]) == ("bf16", "list")


def test_the_receipt_says_where_motion_words_come_from(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    run_stage(STAGE, TextConfig(), _inputs(sentences_index(SENTENCES)), tmp_path / "text")
    receipt = json.loads((tmp_path / "text" / "receipt.json").read_text())
    assert receipt["counts"]["with a motion word (list of motion verbs)"] == 3


def test_a_tagger_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("stages.core.language.tagging.version", absent)
    assert installed_tagger("auto") is installed_tagger("list") is None
    with pytest.raises(MissingInput, match=r"--motion-words: no tagger.*tgl\[tagger\]"):
        installed_tagger("tagger")


def test_the_tagger_of_textblob_adds_verbs(
    run_stage: Callable, sentences_index: Callable, tmp_path: Path
) -> None:
    """With the real package, whose lexicon lies in its wheel; skipped where it is not installed."""
    pytest.importorskip("textblob")
    tagger = installed_tagger("auto")
    assert tagger is not None
    assert tagger == installed_tagger("tagger")
    assert installed_tagger("list") is None
    sentences = ["a man is juggling balls", "it's the dog that was scolding a red cat", "the one"]
    index = sentences_index(sentences)
    found = {}
    for name in (None, tagger):
        out = tmp_path / str(name)
        run_stage(STAGE, TextConfig(dim=8), TextInputs(index, tagger=name), out)
        texts = [TextStore.open(out).get(sentence) for sentence in sentences]
        found[name] = [
            [token for token, m in zip(text.tokens, text.motion, strict=True) if m]
            for text in texts
        ]
        receipt = json.loads((out / "receipt.json").read_text())
        source = ", ".join(filter(None, ["list of motion verbs", name]))
        assert f"with a motion word ({source})" in receipt["counts"]
    assert found[None] == [[], [], []]
    assert found[tagger] == [["juggling"], ["scolding"], []]
