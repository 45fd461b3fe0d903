"""One pass of SAM 3's image encoder serves its detector and its tracker.

Runs in ``tests/test_torchvision.py``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torchvision_operators
from safetensors.torch import load_file, save_file
from tiny_backbones import SAM3_SIZE
from transformers.models.sam3.modeling_sam3 import Sam3ViTModel

from schemas.directories import list_folder
from schemas.layouts import FEATURES_FILE, FEATURES_FOLDER
from schemas.parquet import read_table
from schemas.tables import CANDIDATES
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.model.hidden_states import read_hidden
from stages.zero_shot.ground.config import GroundConfig, ground_parts
from stages.zero_shot.ground.stage import STAGE as GROUND
from stages.zero_shot.track.config import TrackConfig, TrackInputs, candidates_file
from stages.zero_shot.track.stage import STAGE as TRACK

torchvision_operators.require()
FRAMES, SEARCHED = 6 + 3, {"a": (1, 4), "b": (0, 2)}
SHAPE = (16, 32)
_SCORE = "pred_obj_score_head"
KEPT = sum(map(len, SEARCHED.values()))


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index of the videos a (6 frames, 3 sentences) and b (3 frames, 1 sentence)."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture(scope="module")
def sam3(tiny_detector: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random folder of all tests, with a tracker that finds everything visible."""
    folder = tmp_path_factory.mktemp("visible") / "sam3"
    shutil.copytree(tiny_detector("sam3"), folder)
    weights = load_file(folder / "model.safetensors")
    (bias,) = (n for n, values in weights.items() if _SCORE in n and values.shape == (1,))
    weights[bias] += 20
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def run(stage, config, inputs, out: Path, precision: str, progress: SilentProgress) -> Outcome:
    runtime = Runtime(workers=1, device="cpu", precision=precision)
    return execute(stage, config, inputs, out, runtime=runtime, progress=progress)


def ground(index: Path, model: Path, out: Path, precision: str = "fp32", **more) -> Outcome:
    progress = more.pop("progress", SilentProgress())
    settings = {"keep_features": True} | more
    config = GroundConfig(model=str(model), frames=2, top_k=2, **settings)
    inputs = ground_parts(index, config, candidates=None, objects=None)
    return run(GROUND, config, inputs, out, precision, progress)


def track(index: Path, candidates: Path, model: Path, out: Path, precision: str) -> Outcome:
    inputs = TrackInputs(index, candidates_file(candidates), model)
    progress = SilentProgress()
    # Whatever a random detector finds is tracked.
    config = TrackConfig(min_support=0.0)
    outcome = run(TRACK, config, inputs, out, precision, progress)
    assert not [line for line in progress.warnings if "features" in line]
    return outcome


def features_of(out: Path) -> list[str]:
    folder = out / FEATURES_FOLDER
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@contextmanager
def counted_passes() -> Iterator[list[int]]:
    """Frames of each pass of an image transformer, of the detector or the tracker."""
    found: list[int] = []
    forward = Sam3ViTModel.forward

    def counting(self: Sam3ViTModel, pixel_values: torch.Tensor, **settings: object) -> object:
        found.append(len(pixel_values))
        return forward(self, pixel_values, **settings)

    Sam3ViTModel.forward = counting
    try:
        yield found
    finally:
        Sam3ViTModel.forward = forward


@pytest.mark.parametrize(("precision", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_every_frame_is_encoded_once_for_detector_and_tracker(
    index: Path, sam3: Path, tmp_path: Path, precision: str, kind: torch.dtype
) -> None:
    """The files hold the type of the network's precision, and the tracks are the same."""
    with counted_passes() as passes:
        ground(index, sam3, tmp_path / "plain", precision, keep_features=False)
        plain = track(index, tmp_path / "plain", sam3, tmp_path / "one", precision)
    assert sum(passes) == KEPT + FRAMES
    with counted_passes() as passes:
        kept = ground(index, sam3, tmp_path / "kept", precision)
        shared = track(index, tmp_path / "kept", sam3, tmp_path / "two", precision)
    assert sum(passes) == FRAMES
    assert kept.counts["frames with features"] == KEPT
    assert shared.counts["frames encoded by ground"] == KEPT
    assert shared.counts["frames encoded"] == FRAMES - KEPT
    assert plain.counts["masks"] > FRAMES
    candidates = [
        read_table(tmp_path / name / "candidates.parquet", CANDIDATES) for name in ("plain", "kept")
    ]
    assert candidates[0].equals(candidates[1])
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "two").tables
    names = [f"{v}/{n:05d}.safetensors" for v, frames in SEARCHED.items() for n in frames]
    assert features_of(tmp_path / "kept") == names
    for name in names:
        found = read_hidden(tmp_path / "kept" / FEATURES_FOLDER / name, SHAPE)
        assert found.dtype == kind
    note = json.loads((tmp_path / "kept" / FEATURES_FILE).read_text())["videos"]
    assert {(v["image_size"], v["precision"]) for v in note.values()} == {(SAM3_SIZE, precision)}


def test_features_are_a_part_of_the_artifact(index: Path, sam3: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ground(index, sam3, out)
    assert ground(index, sam3, out).skipped
    before = list_folder(out)
    (out / FEATURES_FOLDER / "a" / "00001.safetensors").unlink()
    again = ground(index, sam3, out)
    assert not again.skipped
    assert again.counts["videos kept from before"] == 1  # b
    assert list_folder(out) == before
    assert not ground(index, sam3, out, keep_features=False).skipped
    assert features_of(out) == []
    assert not (out / FEATURES_FILE).exists()


def test_an_interrupted_run_keeps_the_features_of_finished_videos(
    index: Path, sam3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground(index, sam3, tmp_path / "whole")
    from stages.zero_shot.ground import stage as module

    search, seen = module.search_video, []

    def interrupted(job, worker):
        seen.append(job.video.video_id)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return search(job, worker)

    monkeypatch.setattr(module, "search_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ground(index, sam3, tmp_path / "out")
    outcome = ground(index, sam3, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert len(seen) == 3
    assert list_folder(tmp_path / "out") == list_folder(tmp_path / "whole")


def test_a_video_that_fails_leaves_no_features(
    index: Path, sam3: Path, mevis, tmp_path: Path
) -> None:
    (mevis.root / "JPEGImages/b/00002.jpg").write_bytes(b"no frame")
    outcome = ground(index, sam3, tmp_path / "out", batch=1)
    assert len(outcome.failures) == 1
    assert features_of(tmp_path / "out") == ["a/00001.safetensors", "a/00004.safetensors"]
    assert list(json.loads((tmp_path / "out" / FEATURES_FILE).read_text())["videos"]) == ["a"]


def test_frames_that_the_tracker_prepares_otherwise_are_not_kept(
    index: Path, sam3: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(sam3, tmp_path / "model")
    (file,) = (p for p in model.glob("*processor_config.json"))
    settings = json.loads(file.read_text())
    settings["image_mean"] = [0.4, 0.5, 0.5]
    file.write_text(json.dumps(settings))
    progress = SilentProgress()
    outcome = ground(index, model, tmp_path / "out", progress=progress)
    assert outcome.counts["frames with features"] == 0
    assert progress.warnings == [
        "no features kept: the model's image processor prepares frames unlike its tracker"
    ]
    assert features_of(tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / FEATURES_FILE).read_text())["videos"] == {}
