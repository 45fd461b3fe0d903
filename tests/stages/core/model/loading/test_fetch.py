"""The first fetch of models: announced, shown, resumed, and every refusal in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from stub_hub import CHUNK, StubHub, StubModel
from tiny_encoder import save_encoder

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.parquet import rows_of, write_table
from schemas.receipts import Receipt, write_receipt
from schemas.tables import EXPRESSIONS
from stages.core.engine.progress import SilentProgress, Task
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.loading import fetch
from stages.core.model.loading.families import require_detector, require_tracker
from stages.core.model.loading.fetch import ensure_models, wanted_files
from stages.core.model.loading.hub import (
    TOY_BACKBONE,
    TOY_CHECKPOINT,
    backbone_folder,
    checkpoint_folder,
    require_model,
)
from stages.core.model.loading.names import Wanted, cached_folder
from stages.core.model.loading.pretrained import load_pretrained_model
from stages.core.model.tgl import TglModel
from tglcli.progress import TerminalProgress

CONFIG = b'{"model_type": "sam2_video"}'
MODEL = Wanted("someone/model", "--model")
JUDGE = Wanted("facebook/sam3", "--judge")
WEIGHTS = os.urandom(3_500_000)


class Recorder(SilentProgress):
    """Keeps the bars: name, total, unit, and how far each came."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: list[list[object]] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        bar: list[object] = [name, total, unit, 0]
        self.bars.append(bar)

        class Bar:
            def advance(self, n: int = 1, **figures: object) -> None:
                bar[3] += n  # type: ignore[operator]

        yield Bar()  # type: ignore[misc]


@pytest.fixture
def bars() -> Recorder:
    return Recorder()


def published(**files: bytes) -> StubModel:
    """A model with every kind of file that repositories have."""
    return StubModel(
        {
            "config.json": CONFIG,
            "model.safetensors": WEIGHTS,
            "merges.txt": b"a b",
            "spiece.model": b"m",
            "chat_template.jinja": b"{{ x }}",
            "README.md": b"# model",
            "pytorch_model.bin": b"pickle",
            "model.fp16.safetensors": b"another",
            "onnx/model.onnx": b"o",
            "onnx/config.json": b"{}",
            **files,
        }
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- the first fetch --------------------------------------------------------------------------


def test_a_model_is_announced_downloaded_with_a_bar_and_then_costs_nothing(
    hub: StubHub, cache: Path, bars: Recorder
) -> None:
    hub.models[MODEL.name] = published()
    (folder,) = ensure_models([MODEL], bars)
    assert bars.notes == [f"downloads someone/model (4 MB, bsd-3-clause) to {cache}"]
    assert bars.bars == [["download model", 3, "MB", 3]]
    small = {"config.json", "merges.txt", "spiece.model", "chat_template.jinja"}
    assert set(content(folder)) == small | {"model.safetensors"}
    assert content(folder)["model.safetensors"] == WEIGHTS
    asked = [Path(path).name for method, path, _ in hub.asked if method == "GET"]
    assert asked.index("model.safetensors") > max(asked.index(name) for name in small)
    hub.asked.clear()
    assert ensure_models([MODEL, MODEL], bars) == [folder, folder]
    assert cached_folder(MODEL.name) == folder
    assert (hub.asked, len(bars.notes)) == ([], 1)


def test_several_models_make_one_line_with_the_total(
    hub: StubHub, cache: Path, bars: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/config.json").write_bytes(CONFIG)
    hub.models |= {MODEL.name: published(), JUDGE.name: published()}
    local = Wanted(str(tmp_path / "own"), "--tracker")
    folders = ensure_models([local, MODEL, JUDGE], bars)
    assert folders[0] == tmp_path / "own"
    assert bars.notes == [
        "downloads someone/model (4 MB, bsd-3-clause) and facebook/sam3 (4 MB, SAM License), "
        f"7 MB in all, to {cache}"
    ]


def test_shards_and_their_index_are_the_weights() -> None:
    files = (
        *("config.json", "tokenizer.json", "model.safetensors.index.json"),
        *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        *("pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "sam3.pt"),
    )
    small, weights = wanted_files(files)
    assert small == ("config.json", "tokenizer.json")
    assert weights == (
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    )
    assert wanted_files(["config.json", "pytorch_model.bin"]) == (("config.json",), ())


def test_a_snapshot_without_a_shard_is_not_whole(hub: StubHub, bars: Recorder) -> None:
    shards = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 50 for n in (1, 2)}
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    files = {"config.json": CONFIG, "model.safetensors.index.json": json.dumps(index).encode()}
    hub.models[MODEL.name] = StubModel(files | shards)
    (folder,) = ensure_models([MODEL], bars)
    assert content(folder) == files | shards
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert cached_folder(MODEL.name) is None
    ensure_models([MODEL], bars)
    assert content(folder) == files | shards


def test_a_wrong_family_is_refused_before_weights_are_fetched(
    hub: StubHub, cache: Path, bars: Recorder, tmp_path: Path
) -> None:
    """Whichever of several it is; one that is on this machine before the hub is asked."""
    models = [Wanted(MODEL.name, "--model", require_detector), JUDGE]
    hub.models |= {model.name: published() for model in models}
    for _ in range(2):
        with pytest.raises(ConfigError, match="is a sam2_video model, one of grounding-dino, "):
            ensure_models(models, bars)
    assert not [path for _, path, _ in hub.asked if path.endswith("model.safetensors")]
    (tmp_path / "own").mkdir()
    (tmp_path / "own/config.json").write_bytes(CONFIG)
    hub.asked.clear()
    local = Wanted(str(tmp_path / "own"), "--model", require_detector)
    with pytest.raises(ConfigError, match=r"own: is a sam2_video model.* with --model"):
        ensure_models([JUDGE, local], bars)
    assert not hub.asked
    tracker = Wanted(MODEL.name, "--tracker", require_tracker)
    assert ensure_models([tracker], bars) == [cached_folder(MODEL.name)]
    with pytest.raises(ConfigError, match=r"^someone/model: is a sam2_video"):
        ensure_models(models, bars)


def test_quiet_shows_neither_line_nor_bar(hub: StubHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.models[MODEL.name] = published()
    ensure_models([MODEL], TerminalProgress(quiet=True))
    assert capsys.readouterr() == ("", "")
    hub.models["other/model"] = published()
    ensure_models([Wanted("other/model", "--model")], TerminalProgress())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"downloads other/model (4 MB, bsd-3-clause) to {constants.HF_HUB_CACHE}"
    ]


def test_an_encoder_loads_by_its_hub_id(hub: StubHub, tmp_path: Path) -> None:
    from transformers import AutoModel

    files = content(save_encoder(tmp_path / "encoder"))
    hub.models[MODEL.name] = StubModel(files)
    model = load_pretrained_model(
        AutoModel, MODEL.name, option="--encoder", add_pooling_layer=False
    )
    assert model.config.hidden_size == 16
    del files["config.json"]
    hub.models["other/model"] = StubModel(files)
    with pytest.raises(CorruptInput, match=r"^other/model: the hub has no config.json of it"):
        load_pretrained_model(AutoModel, "other/model", option="--encoder")


def test_a_checkpoint_loads_by_its_hub_id(
    hub: StubHub, make_model: Callable[..., TglModel], tmp_path: Path, bars: Recorder
) -> None:
    model = make_model()
    save_checkpoint(tmp_path / "own", model, encoder="hash-16")
    write_receipt(
        tmp_path / "own", Receipt("train", 1, {}, {}, "0", {}, list_folder(tmp_path / "own"))
    )
    hub.models[MODEL.name] = StubModel(content(tmp_path / "own"))
    loaded = load_checkpoint(checkpoint_folder(MODEL.name, bars)).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())
    assert len(bars.notes) == 1


def test_a_misspelt_folder_of_a_checkpoint_is_no_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("checkpoint", "runs/model", "a/b/c"):
        assert checkpoint_folder(name) == Path(name)
    with pytest.raises(MissingInput, match="someone/model: is not in the local cache"):
        checkpoint_folder("someone/model")
    (tmp_path / "toy").mkdir()
    assert checkpoint_folder("toy") == TOY_CHECKPOINT
    (tmp_path / "toy/config.json").touch()
    assert checkpoint_folder("toy") == Path("toy")


# --- weights that are only a pickle -------------------------------------------------------------


def test_the_hubs_own_conversion_takes_the_place_of_a_pickle(
    hub: StubHub, bars: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": CONFIG, "pytorch_model.bin": b"pickle"}
    hub.models[MODEL.name] = StubModel(files, converted=files | {"model.safetensors": b"w"})
    (folder,) = ensure_models([MODEL], bars)
    assert content(folder) == {"config.json": CONFIG, "model.safetensors": b"w"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert ensure_models([MODEL], bars) == [folder]


@pytest.mark.parametrize("author", ["mallory", None])
def test_a_pickle_alone_is_refused(hub: StubHub, bars: Recorder, author: str | None) -> None:
    files = {"config.json": CONFIG, "pytorch_model.bin": b"pickle"}
    hub.models[MODEL.name] = StubModel(
        files,
        converted=files | {"model.safetensors": b"w"} if author else None,
        author=author or "",
    )
    with pytest.raises(CorruptInput, match="has no weights in the format safetensors of it"):
        ensure_models([MODEL], bars)
    assert bars.notes == []


# --- broken downloads ---------------------------------------------------------------------------


def test_a_broken_download_goes_on_where_it_stopped(hub: StubHub, bars: Recorder) -> None:
    model = hub.models[MODEL.name] = published()
    model.cut = ("model.safetensors", 10 * CHUNK)
    with pytest.raises(MissingInput, match=r"the download broke \(.*it goes on where") as caught:
        ensure_models([MODEL], bars)
    assert "\n" not in str(caught.value)
    assert cached_folder(MODEL.name) is None
    hub.asked.clear()
    model.cut = None
    (folder,) = ensure_models([MODEL], bars)
    assert hub.ranges("model.safetensors") == [f"bytes={10 * CHUNK}-"]
    assert content(folder)["model.safetensors"] == WEIGHTS
    assert bars.bars[-1] == ["download model", 3, "MB", 3]
    assert len(bars.notes) == 2


def test_two_runs_at_once_download_the_weights_once(hub: StubHub) -> None:
    hub.models[MODEL.name] = published()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(ensure_models, [MODEL], Recorder()) for _ in range(2)]
    folders = [run.result()[0] for run in runs]
    assert folders[0] == folders[1]
    assert content(folders[0])["model.safetensors"] == WEIGHTS
    assert hub.ranges("model.safetensors") == [""]


def test_what_arrived_damaged_is_not_kept(hub: StubHub, cache: Path, bars: Recorder) -> None:
    model = hub.models[MODEL.name] = published()
    model.cut = ("model.safetensors", 10 * CHUNK)
    with pytest.raises(MissingInput):
        ensure_models([MODEL], bars)
    (partial,) = cache.glob("models--someone--model/blobs/*-partial")
    assert partial.stat().st_size == 10 * CHUNK
    partial.write_bytes(bytes(10 * CHUNK))
    model.cut = None
    with pytest.raises(MissingInput, match="is not the file that the hub has"):
        ensure_models([MODEL], bars)
    assert not partial.exists()
    assert content(ensure_models([MODEL], bars)[0])["model.safetensors"] == WEIGHTS


@pytest.mark.parametrize("size", [len(WEIGHTS), len(WEIGHTS) + 1])
def test_a_partial_file_of_full_length_is_taken_if_it_is_the_right_one(
    hub: StubHub, cache: Path, bars: Recorder, size: int
) -> None:
    model = hub.models[MODEL.name] = published()
    model.cut = ("model.safetensors", CHUNK)
    with pytest.raises(MissingInput):
        ensure_models([MODEL], bars)
    (partial,) = cache.glob("models--someone--model/blobs/*-partial")
    partial.write_bytes((WEIGHTS + b"x")[:size])
    model.cut = None
    hub.asked.clear()
    assert content(ensure_models([MODEL], bars)[0])["model.safetensors"] == WEIGHTS
    assert hub.ranges("model.safetensors") == ([] if size == len(WEIGHTS) else [""])


def test_a_full_disk_is_named(
    hub: StubHub, cache: Path, bars: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    hub.models[MODEL.name] = published()
    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(TglError, match=r"cache: the disk is full; free some space"):
        ensure_models([MODEL], bars)


# --- no access ----------------------------------------------------------------------------------

ASK = "give access on request, .*; open http.*/facebook/sam3, accept the terms, then run `hf auth"


@pytest.mark.parametrize(
    ("name", "refuse", "api", "message"),
    [
        ("facebook/sam3", (401, "GatedRepo"), False, ASK),
        ("facebook/sam3", (403, "GatedRepo"), False, ASK),
        ("facebook/sam3", (401, "GatedRepo"), True, ASK),
        ("facebook/sam3", (403, ""), False, ASK),
        ("someone/model", (403, "GatedRepo"), False, ASK.replace("facebook/sam3", "someone/model")),
        ("someone/model", (401, "RepoNotFound"), True, "no public model of this name; check the"),
        ("someone/model", (401, ""), True, "no public model of this name.*`hf auth login`"),
        ("someone/model", (403, ""), False, r"refuses access \(403\); run `hf auth login`"),
        ("someone/model", (404, "RepoNotFound"), True, "no public model of this name; check the"),
        ("someone/model", (500, ""), True, r"the download broke \(.*500"),
    ],
)
def test_a_refusal_is_one_line(
    hub: StubHub, bars: Recorder, name: str, refuse: tuple[int, str], api: bool, message: str
) -> None:
    hub.models[name] = published()
    hub.models[name].refuse, hub.models[name].refuse_api = refuse, api
    with pytest.raises(MissingInput, match=f"^{name}: .*{message}") as caught:
        ensure_models([Wanted(name, "--model")], bars)
    assert "\n" not in str(caught.value)
    if refuse[1] == "GatedRepo":
        assert bars.notes == [], "announced what cannot be had"


def test_a_name_that_the_hub_does_not_have(hub: StubHub, bars: Recorder) -> None:
    with pytest.raises(MissingInput, match=r"^some/typo: the hub has no public model"):
        ensure_models([Wanted("some/typo", "--model")], bars)
    with pytest.raises(MissingInput, match=r"is neither a folder nor a hub id"):
        ensure_models([Wanted("a/b/c", "--model")], bars)


# --- no network -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False])
def test_without_network_one_line_names_all_that_is_missing(
    cache: Path, bars: Recorder, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    started = time.monotonic()
    with pytest.raises(MissingInput) as caught:
        ensure_models([MODEL, JUDGE], bars)
    assert time.monotonic() - started < 1
    why = "HF_HUB_OFFLINE is set" if offline else "the hub cannot be reached"
    assert str(caught.value) == (
        f"someone/model, facebook/sam3: are not in the local cache and {why}; download elsewhere "
        "with `hf download NAME --local-dir FOLDER`, then name the folders with --model and "
        "--judge"
    )


def test_a_cache_that_was_filled_before_serves_without_network(
    hub: StubHub, bars: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.models[MODEL.name] = published()
    (folder,) = ensure_models([MODEL], SilentProgress())
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert ensure_models([MODEL], bars) == [folder]
    assert require_model(MODEL.name, option="--model")
    assert backbone_folder(MODEL.name) == checkpoint_folder(MODEL.name) == folder
    assert (hub.asked, bars.notes, bars.bars) == ([], [], [])


def test_a_cache_without_the_weights_is_not_whole(
    hub: StubHub, cache: Path, bars: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another program leaves it that only read the configuration."""
    store = cache / "models--someone--model"
    (store / "refs").mkdir(parents=True)
    (store / "refs/main").write_text("0123")
    (store / "snapshots/0123").mkdir(parents=True)
    (store / "snapshots/0123/config.json").write_bytes(CONFIG)
    assert cached_folder(MODEL.name) is None
    assert not require_model(MODEL.name, option="--model")
    hub.models[MODEL.name] = published()
    assert require_model(MODEL.name, option="--model", progress=bars)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (store / "snapshots/4567").mkdir()
    (store / "refs/main").write_text("4567")
    with pytest.raises(MissingInput, match="is not in the local cache"):
        require_model(MODEL.name, option="--model")


def test_folders_and_the_toy_need_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetch, "require_hub", lambda missing: pytest.fail("asked the hub"))
    assert backbone_folder("toy") == TOY_BACKBONE
    assert checkpoint_folder("toy") == TOY_CHECKPOINT
    assert checkpoint_folder(str(tmp_path)) == tmp_path
    with pytest.raises(MissingInput, match="no such folder"):
        backbone_folder(str(tmp_path / "none"))
    with pytest.raises(MissingInput, match=r"has no config\.json"):
        backbone_folder(str(tmp_path))


_COMMAND = "from tglcli.main import main; main()"


def test_a_command_announces_what_it_fetches(hub: StubHub, tmp_path: Path) -> None:
    hub.models[MODEL.name] = StubModel(content(save_encoder(tmp_path / "encoder")))
    index = tmp_path / "index"
    index.mkdir()
    row = {"video_id": "v", "expression_id": "0", "expression": "a cat jumping"}
    rows = rows_of([row | {"object_ids": [], "anno_ids": []}], EXPRESSIONS)
    write_table(index / "expressions.parquet", rows, EXPRESSIONS)
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    words = ("precompute-text", str(index), str(tmp_path / "out"), "--encoder", MODEL.name)
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"downloads someone/model (1 MB, bsd-3-clause) to {tmp_path / 'home/hub'}"
    ]
