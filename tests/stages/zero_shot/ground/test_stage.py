"""ground with tiny detectors of the real classes, loaded as real ones are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.parquet import read_table
from schemas.tables import CANDIDATES
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.candidates import read_candidates
from stages.core.index.index import Index
from stages.zero_shot.ground.config import (
    OBJECTS,
    REFERENCE,
    GroundConfig,
    GroundInputs,
    ground_parts,
)
from stages.zero_shot.ground.stage import STAGE

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index of the videos a (6 frames, 3 sentences) and b (3 frames, 1 sentence)."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


def parts(index: Path, model: object, **settings: object) -> tuple[GroundConfig, GroundInputs]:
    """Config and inputs, as the command makes them."""
    config = GroundConfig(model=str(model), **{"top_k": 3, "frames": 4} | settings)
    return config, ground_parts(index, config, candidates=None, objects=None)


def rows_of(folder: Path) -> list[dict]:
    return read_table(folder / "candidates.parquet", CANDIDATES).to_pylist()


@pytest.mark.parametrize("family", ["grounding-dino", "owlv2"])
def test_every_sentence_gets_its_best_boxes(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path, family: str
) -> None:
    model = tiny_detector(family)
    outcome = run_stage(STAGE, *parts(index, model), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert {(r["video_id"], r["expression_id"]) for r in rows} == {
        ("a", "0"),
        ("a", "1"),
        ("a", "2"),
        ("b", "0"),
    }
    assert {r["frame"] for r in rows if r["video_id"] == "a"} <= {0, 2, 3, 5}
    assert {r["frame"] for r in rows if r["video_id"] == "b"} <= {0, 1, 2}
    assert {r["source"] for r in rows} == {model.name}
    assert {r["phrase"] for r in rows} == {None}
    for row in rows:
        assert 0 <= row["x0"] < row["x1"] <= WIDTH
        assert 0 <= row["y0"] < row["y1"] <= HEIGHT
        assert row["rank"] < 3
    checked = read_candidates(tmp_path / "out/candidates.parquet", Index.open(index))
    assert checked.table.to_pylist() == rows
    assert outcome.counts["frames"] == 7
    assert outcome.counts["candidates"] == len(rows)
    assert run_stage(STAGE, *parts(index, model), tmp_path / "out").skipped
    assert not run_stage(STAGE, *parts(index, model, top_k=2), tmp_path / "out").skipped
    assert {row["rank"] for row in rows_of(tmp_path / "out")} == {0, 1}


def test_equal_sentences_are_searched_once(
    run_stage: Callable,
    mevis,
    tiny_detector: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stages.zero_shot.ground.detectors.owlv2 import Owlv2Detector

    mevis.expression("a", "1")["exp"] = mevis.expression("a", "0")["exp"]
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    pairs, encode = [], Owlv2Detector.encode

    def counted(self, sentences):
        pairs.append(len(sentences))
        return encode(self, sentences)

    monkeypatch.setattr(Owlv2Detector, "encode", counted)
    run_stage(STAGE, *parts(tmp_path / "index", tiny_detector("owlv2")), tmp_path / "out")
    assert sorted(pairs) == [1, 2]
    rows = rows_of(tmp_path / "out")
    same = [
        [{**r, "expression_id": ""} for r in rows if (r["video_id"], r["expression_id"]) == key]
        for key in (("a", "0"), ("a", "1"))
    ]
    assert same[0] == same[1] != []


def test_stride_takes_the_place_of_frames(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    model = tiny_detector("owlv2")
    run_stage(STAGE, *parts(index, model, stride=4), tmp_path / "out")
    assert {r["frame"] for r in rows_of(tmp_path / "out")} == {0, 4}
    assert run_stage(STAGE, *parts(index, model, stride=4, frames=2), tmp_path / "out").skipped


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, index: Path, tmp_path: Path
) -> None:
    given = parts(index, OBJECTS)
    run_stage(STAGE, *given, tmp_path / "whole")
    killed_run(STAGE, *given, tmp_path / "out", after=4)
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out").tables == list_folder(tmp_path / "whole").tables


@pytest.mark.slow  # the process that is killed loads transformers
def test_a_killed_search_goes_on_with_the_next_video(
    run_stage: Callable, killed_run: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    given = parts(index, tiny_detector("owlv2"))
    run_stage(STAGE, *given, tmp_path / "whole")
    killed_run(STAGE, *given, tmp_path / "out", after=5)
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out").tables == list_folder(tmp_path / "whole").tables


@pytest.mark.slow  # two processes load torch
def test_two_devices_give_what_one_does(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    given = parts(index, tiny_detector("grounding-dino"))
    run_stage(STAGE, *given, tmp_path / "one")
    execute(
        STAGE,
        *given,
        tmp_path / "two",
        runtime=Runtime(workers=1, devices="cpu,cpu"),
        progress=SilentProgress(),
    )
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "two").tables


def test_a_cluster_gives_what_one_device_does(
    run_stage: Callable, index: Path, tiny_detector: Callable, scheduler: str, tmp_path: Path
) -> None:
    """Two threads of one process, which share the detector."""
    given = parts(index, tiny_detector("grounding-dino"))
    run_stage(STAGE, *given, tmp_path / "one")
    runtime = Runtime(workers=1, device="cpu", scheduler=scheduler)
    execute(STAGE, *given, tmp_path / "many", runtime=runtime, progress=SilentProgress())
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "many").tables


def test_a_long_sentence_is_cut_and_said_once(
    run_stage: Callable, mevis, tiny_detector: Callable, tmp_path: Path
) -> None:
    for name in ("0", "1"):
        mevis.expression("a", name)["exp"] = "the left dog that jumps away " * 5
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    progress = SilentProgress()
    given = parts(tmp_path / "index", tiny_detector("owlv2"))
    outcome = run_stage(STAGE, *given, tmp_path / "out", progress=progress)
    assert outcome.counts["sentences cut"] == 2
    assert [line for line in progress.warnings if "cut" in line] == [
        "2 sentences longer than the model's text encoder takes: cut"
    ]


def test_a_video_without_candidates_is_said(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    progress = SilentProgress()
    given = parts(index, tiny_detector("owlv2"), min_score=1.0)
    outcome = run_stage(STAGE, *given, tmp_path / "out", progress=progress)
    assert progress.warnings == ["no candidates in 2 videos (a, b)"]
    assert outcome.counts["videos without candidates"] == 2
    assert outcome.counts["expressions without candidates"] == 4
    assert rows_of(tmp_path / "out") == []


def test_a_video_of_one_frame(
    run_stage: Callable, mevis, tiny_detector: Callable, tmp_path: Path
) -> None:
    mevis.meta["videos"]["b"]["frames"] = ["00000"]
    mevis.masks["9"] = mevis.masks["9"][:1]
    mevis.moments = None
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    run_stage(STAGE, *parts(tmp_path / "index", tiny_detector("owlv2")), tmp_path / "out")
    assert {r["frame"] for r in rows_of(tmp_path / "out") if r["video_id"] == "b"} == {0}


def test_an_unreadable_frame_fails_its_video_alone(
    run_stage: Callable, index: Path, mevis, tiny_detector: Callable, tmp_path: Path
) -> None:
    frame = mevis.root / "JPEGImages/b/00001.jpg"
    frame.write_bytes(frame.read_bytes()[:200])
    given = parts(index, tiny_detector("owlv2"))
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    assert len(outcome.failures) == 1
    assert outcome.failures["b"].startswith("video b: ")
    assert outcome.failures["b"].endswith(f"{frame.name}: cannot be decoded (Truncated File Read)")
    assert {r["video_id"] for r in rows_of(tmp_path / "out")} == {"a"}
    for name in range(6):
        Image.new("RGB", (5, 5)).save(mevis.root / f"JPEGImages/a/{name:05d}.jpg")
    with pytest.raises(CorruptInput, match=r"is 5x5, the index says 16x12.*2 videos, all of which"):
        run_stage(STAGE, *given, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_unsuitable_models_are_refused_once(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    def ground(model: object) -> None:
        run_stage(STAGE, *parts(index, model), tmp_path / "out")

    with pytest.raises(MissingInput, match="no such folder"):
        ground("./absent")
    with pytest.raises(MissingInput, match=r"nobody/no-model.*--model"):
        ground("nobody/no-model")
    other = shutil.copytree(tiny_detector("owlv2"), tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ConfigError, match=r"is a bert model, one of grounding-dino, mm-grounding"):
        ground(other)
    (other / "config.json").write_text(json.dumps(config))
    (other / "model.safetensors").write_bytes(b"none")
    with pytest.raises(TglError):
        ground(other)
    assert not (tmp_path / "out").exists()


def test_features_are_kept_of_sam3_only(
    run_stage: Callable, index: Path, tiny_detector: Callable, tmp_path: Path
) -> None:
    given = parts(index, tiny_detector("owlv2"), keep_features=True)
    with pytest.raises(ConfigError, match=r"--keep-features: needs SAM 3's folder.*has 'owlv2'"):
        run_stage(STAGE, *given, tmp_path / "out")
    with pytest.raises(ConfigError, match="--keep-features: needs a model that encodes frames"):
        parts(index, OBJECTS, keep_features=True)
    assert not (tmp_path / "out").exists()


def test_phrases_need_a_tagger(
    index: Path, tiny_detector: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.zero_shot.ground.config.tagger_version", lambda: None)
    with pytest.raises(MissingInput, match=r"--phrase: no tagger is installed.*tgl\[tagger\]"):
        parts(index, tiny_detector("owlv2"), phrase="noun")


def test_true_boxes_with_noise(run_stage: Callable, index: Path, tmp_path: Path) -> None:
    given = parts(index, OBJECTS, box_noise=0.0, miss=0.0, false_boxes=0)
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert outcome.counts["true objects (reference)"] == 3
    assert {r["source"] for r in rows} == {REFERENCE}
    first = [r for r in rows if r["video_id"] == "a" and r["frame"] == 0]
    # Objects 7 and 8 for each of three sentences, the one without referents too.
    assert len(first) == 6
    boxes = {(r["x0"], r["y0"], r["x1"], r["y1"]) for r in first}
    assert boxes == {(0, 3, 4, 7)}  # both objects are where the miniature draws its square
    assert all(0.5 <= r["score"] <= 1 for r in rows)
    spoilt = parts(index, OBJECTS, miss=1.0, false_boxes=2)
    run_stage(STAGE, *spoilt, tmp_path / "spoilt")
    found = rows_of(tmp_path / "spoilt")
    assert len(found) == 2 * (3 * 4 + 3)
    run_stage(STAGE, *parts(index, OBJECTS, miss=1.0, false_boxes=2, seed=1), tmp_path / "other")
    assert rows_of(tmp_path / "other") != found
    noisy = parts(index, OBJECTS, miss=0.0, false_boxes=0, box_noise=0.2)
    run_stage(STAGE, *noisy, tmp_path / "noisy")
    for row in rows_of(tmp_path / "noisy"):
        left = row["frame"]
        shifts = np.abs([row["x0"] - left, row["y0"] - 3, row["x1"] - left - 4, row["y1"] - 7])
        assert shifts.max() <= 0.2 * 4 + 1e-5


def test_a_frame_that_was_changed_fails_its_video_alone(tiny_world, tmp_path: Path) -> None:
    world = tiny_world.copy(tmp_path / "world")
    shutil.copyfile(
        world.frames / "JPEGImages/b/00000.jpg", world.frames / "JPEGImages/b/00001.jpg"
    )
    outcome = world.job("ground").execute(tmp_path / "out")
    assert len(outcome.failures) == 1
    assert "was changed since tgl extract-frames wrote it" in outcome.failures["b"]
    assert {row["video_id"] for row in rows_of(tmp_path / "out")} == {"a"}
