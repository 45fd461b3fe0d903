"""A tgl checkpoint as a judge: its scores by hand, and one encoding per frame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from tiny_encoder import save_encoder

from schemas.errors import ConfigError, MissingInput, SchemaMismatch
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.core.media.rle import decode
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.config import ModelConfig, SegmenterConfig, TrackThresholds
from stages.core.model.masks import resize_masks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as PRECOMPUTE
from stages.tools.select_moments.config import REFERENT, SelectConfig, SelectInputs
from stages.tools.select_moments.inputs import select_inputs
from stages.tools.select_moments.judges.checkpoint import CheckpointJudge, combine
from stages.tools.select_moments.referents import case_of
from stages.tools.select_moments.stage import STAGE

CPU = Runtime(workers=1, device="cpu")
WIDTH = 16


@dataclass(frozen=True)
class World:
    """Folders of what the judge reads."""

    tracks: Path
    text: Path | None
    checkpoint: Path

    @property
    def inputs(self) -> SelectInputs:
        return SelectInputs(self.tracks, self.checkpoint, self.text)

    def config(self, **settings: object) -> SelectConfig:
        settings = {"fill": 0, "drop": 1, **settings}
        return SelectConfig(model=str(self.checkpoint), per=REFERENT, **settings)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with one bank per sentence, which sees objects and is undecided."""
    torch.manual_seed(1)
    config = ModelConfig(
        adapter_width=16,
        adapter_heads=2,
        temporal_radius=2,
        relevance_radius=3,
        gap_codes="masks",  # the heat map is then not to be made of the tokens
    )
    segmenter = SegmenterConfig(per_moment_banks=False)
    model = TglModel(config, build_backbone(toy_preset(64)), WIDTH, segmenter)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        model.adapter.relevance_head[3].weight.mul_(8)
        model.adapter.heatmap.weight.mul_(20)
        model.backbone.sam.mask_decoder.pred_obj_score_head.proj_out.bias.add_(4.3)
    folder = tmp_path_factory.mktemp("judge") / "checkpoint"
    save_checkpoint(folder, model, encoder="hash, mean pooling", with_head=False)
    save_checkpoint(folder.with_name("with-head"), model, encoder="hash, mean pooling")
    return folder


@pytest.fixture
def world(run_stage: Callable, tracks: Path, checkpoint: Path, tmp_path: Path) -> World:
    config = TextConfig(encoder="hash", dim=WIDTH, motion_words="list")
    run_stage(PRECOMPUTE, config, TextInputs(tracks), tmp_path / "text")
    return World(tracks, tmp_path / "text", checkpoint)


def judge(world: World, **settings: object) -> CheckpointJudge:
    texts = TextStore.open(world.text)
    return CheckpointJudge(world.config(**settings), world.checkpoint, texts, CPU)


def test_combined_scores() -> None:
    relevance = np.array([0.1, 0.8, 0.6, 0.2])
    guided = np.array([False, True, True, False])
    evidence = np.array([[0.0, 0.5, 0.7, 0.0], [0.0, 0.25, 0.0, 0.0], [0.0, 0.02, 0.02, 0.0]])
    visible = np.array([[True] * 4, [True, True, False, True], [True] * 4])
    frames, whole = combine(relevance, guided, evidence, visible)
    shares = [1, 0.25 / 0.6, 0.02 / 0.6]
    assert frames[0] == pytest.approx([0.1, 0.8, 0.6, 0.2])
    assert frames[1] == pytest.approx([0.1 * shares[1], 0.4, 0, 0.2 * shares[1]])
    assert whole[:2] == pytest.approx([relevance.mean() * share for share in shares[:2]])
    assert whole[2] == 0  # hardly any evidence
    nothing, none = combine(relevance, guided, np.zeros((1, 4)), np.zeros((1, 4), bool))
    assert not nothing.any()
    assert none.tolist() == [0]


def test_scores_are_those_of_the_model(world: World) -> None:
    case = case_of(Index.open(world.tracks), "a")
    found = judge(world).scores(case, lambda n: None)
    frames, whole = by_hand(world, case)
    assert np.abs(found.frames - frames).max() < 1e-5
    assert found.whole is not None
    assert np.abs(found.whole - whole).max() < 1e-5
    assert np.ptp(whole[whole > 0]) > 1e-3  # tracks are told apart


@torch.inference_mode()
def by_hand(world: World, case) -> tuple[np.ndarray, np.ndarray]:
    """Scores from the model's masks of a whole clip."""
    model, texts = load_checkpoint(world.checkpoint), TextStore.open(world.text)
    pixels = np.stack([read_video_frame(case.video, n) for n in range(case.video.num_frames)])
    features = model.encode_frames(resize_frames(pixels, model.backbone.image_size))
    frames, whole = np.zeros((len(case.pairs), len(pixels))), np.zeros(len(case.pairs))
    partly = False
    for row, expression in enumerate(case.expressions):
        text = TextBatch.of([texts.get(expression.text)])
        relevance = model.relevance(features, text)[0].sigmoid().numpy()
        guided = relevance >= 0.5
        if not guided.any():
            guided[relevance.argmax()] = True
        partly = partly or not guided.all()
        tokens, _ = model.encode_clip(features, text)
        masks = model.clip(features, text, torch.from_numpy(guided)[None]).mask_logits[0] > 0
        side, heat = masks.shape[-1], tokens.heatmap[0].flatten(1).softmax(dim=1)
        heat = heat.view(tokens.heatmap[0].shape)
        numbers = [n for n, pair in enumerate(case.pairs) if pair.row == row]
        evidence = np.zeros((len(numbers), len(pixels)))
        visible = np.zeros((len(numbers), len(pixels)), bool)
        for place, number in enumerate(numbers):
            for frame, rle in case.tracks[case.pairs[number].anno_id].items():
                visible[place, frame] = True
                whole_mask = torch.from_numpy(np.ascontiguousarray(decode(rle, where="")))
                track = resize_masks(whole_mask[None, None], side)[0, 0]
                if guided[frame]:
                    covered = (track * masks[frame]).sum() / track.sum()
                    scale = side // heat.shape[-1]
                    coarse = track.unfold(0, scale, scale).unfold(1, scale, scale).mean((2, 3))
                    evidence[place, frame] = (covered + (coarse * heat[frame]).sum()) / 2
        frames[numbers], whole[numbers] = combine(relevance, guided, evidence, visible)
    assert partly  # or the test is about less
    return frames, whole


def test_each_frame_is_encoded_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    encode = Backbone.encode_frames
    monkeypatch.setattr(
        Backbone, "encode_frames", lambda self, f: encoded.append(len(f)) or encode(self, f)
    )
    case = case_of(Index.open(world.tracks), "a")
    judge(world).scores(case, lambda n: None)
    assert sum(encoded) == case.video.num_frames


def test_the_stage(run_stage: Callable, world: World, tmp_path: Path) -> None:
    outcome = run_stage(STAGE, world.config(accept=0.0), world.inputs, tmp_path / "out")
    assert outcome.counts["tracks accepted"] == 8
    table = read_table(tmp_path / "out" / "moments.parquet", MOMENTS)
    assert set(table.column("source").to_pylist()) == {"checkpoint"}
    assert run_stage(STAGE, world.config(accept=0.0), world.inputs, tmp_path / "out").skipped


def rows(folder: Path) -> list[dict[str, object]]:
    return read_table(folder / "moments.parquet", MOMENTS).to_pylist()


def named(checkpoint: Path, encoder: str, folder: Path) -> Path:
    """A copy of a checkpoint that names another text encoder."""
    copied = Path(shutil.copytree(checkpoint, folder))
    document = json.loads((copied / "config.json").read_text())
    document["text"]["encoder"] = encoder
    (copied / "config.json").write_text(json.dumps(document))
    return copied


@pytest.mark.parametrize("encoder", ["hash", "roberta"])
def test_without_texts_the_checkpoints_own_encoder_is_used(
    run_stage: Callable, world: World, tmp_path: Path, encoder: str
) -> None:
    folder = save_encoder(tmp_path / "encoder") if encoder == "roberta" else None
    pooling = "first" if folder else "mean"
    name = str(folder or "hash")
    world = replace(
        world,
        checkpoint=named(world.checkpoint, f"{name}, {pooling} pooling", tmp_path / "checkpoint"),
        text=tmp_path / "texts",
    )
    config = TextConfig(encoder=name, pooling=pooling, dim=WIDTH, motion_words="list")
    run_stage(PRECOMPUTE, config, TextInputs(world.tracks, folder), world.text)
    settings = world.config(accept=0.0)
    run_stage(STAGE, settings, world.inputs, tmp_path / "given")
    inputs = select_inputs(world.tracks, settings, SilentProgress())
    assert (inputs.text, inputs.encoder) == (None, folder)
    run_stage(STAGE, settings, inputs, tmp_path / "own")
    assert rows(tmp_path / "own") == rows(tmp_path / "given") != []
    assert run_stage(STAGE, settings, inputs, tmp_path / "own").skipped
    if folder is not None:
        (folder / "model.safetensors").touch()
        assert not run_stage(STAGE, settings, inputs, tmp_path / "own").skipped


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("unknown", "checkpoint: does not name the text encoder it was trained with"),
        ("gone/encoder/folder, mean pooling", "is neither a folder nor a hub id"),
        ("someone/encoder, mean pooling", "someone/encoder: is not in the local cache and HF_HUB"),
    ],
)
def test_an_encoder_that_is_missing_is_one_line(
    run_stage: Callable,
    world: World,
    tmp_path: Path,
    encoder: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    world = replace(world, checkpoint=named(world.checkpoint, encoder, tmp_path / "checkpoint"))
    with pytest.raises(MissingInput, match=f"{message}.*; encode the sentences with tgl precomp"):
        run_stage(STAGE, world.config(), replace(world, text=None).inputs, tmp_path / "out")


def test_mistakes(
    run_stage: Callable, world: World, tiny_selector: Callable, tmp_path: Path
) -> None:
    clip = tiny_selector("clip")
    with pytest.raises(ConfigError, match="--text: only a tgl checkpoint reads"):
        config = SelectConfig(model=str(clip), per=REFERENT)
        run_stage(STAGE, config, SelectInputs(world.tracks, clip, world.text), tmp_path / "out")
    narrow = TextConfig(encoder="hash", dim=8, motion_words="list")
    run_stage(PRECOMPUTE, narrow, TextInputs(world.tracks), tmp_path / "narrow")
    with pytest.raises(SchemaMismatch, match="the texts have 8 numbers per token"):
        inputs = SelectInputs(world.tracks, world.checkpoint, tmp_path / "narrow")
        run_stage(STAGE, world.config(), inputs, tmp_path / "out")
    with pytest.raises(MissingInput, match="texts table is missing"):
        inputs = SelectInputs(world.tracks, world.checkpoint, world.tracks)
        run_stage(STAGE, world.config(), inputs, tmp_path / "out")


def with_head(world: World, folder: Path, no_target: float) -> World:
    """The same world with a checkpoint that has a (random) track head."""
    model = load_checkpoint(world.checkpoint.with_name("with-head"))
    model.thresholds = TrackThresholds(no_target)
    save_checkpoint(folder, model, encoder="hash, mean pooling")
    return replace(world, checkpoint=folder)


def test_the_track_head_judges_where_there_is_one(world: World, tmp_path: Path) -> None:
    case = case_of(Index.open(world.tracks), "a")
    found = judge(with_head(world, tmp_path / "ck", 0.0)).scores(case, lambda n: None)
    assert found.whole is not None
    for row in range(len(case.expressions)):
        own = [found.whole[n] for n, pair in enumerate(case.pairs) if pair.row == row]
        assert all(0 < score <= 1 for score in own)
    for number, pair in enumerate(case.pairs):
        visible = case.visible(pair.anno_id)
        assert (found.frames[number][~visible] == 0).all()
        assert (found.frames[number][visible] > 0).all()
    other = judge(world).scores(case, lambda n: None)
    assert np.abs(found.frames - other.frames).max() > 1e-3


def test_no_track_is_accepted_where_the_head_sees_no_target(world: World, tmp_path: Path) -> None:
    case = case_of(Index.open(world.tracks), "a")
    found = judge(with_head(world, tmp_path / "ck", 1.0)).scores(case, lambda n: None)
    assert found.whole is not None
    assert (found.whole == 0).all()
