"""Features that tgl ground kept save the image transformer's work, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_backbones import SAM3_SIZE, random_backbone
from torch import Tensor

from schemas.directories import list_folder
from schemas.errors import CorruptInput
from schemas.layouts import FEATURES_FILE, features_path
from stages.core.engine.digest import weights_digest
from stages.core.engine.progress import SilentProgress
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Index
from stages.core.index.kept_features import KeptFeatures, KeptVideo
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.sam3 import Sam3Backbone
from stages.core.model.hidden_states import write_hidden
from stages.core.model.video_features import read_resized
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.stage import STAGE

LEFT, RIGHT = (0.0, 3.0, 5.0, 8.0), (9.0, 2.0, 15.0, 9.0)
ROWS = [
    ("a", "0", 1, LEFT, 0.9),
    ("a", "0", 1, RIGHT, 0.4),
    ("a", "1", 4, RIGHT, 0.6),
    ("b", "0", 1, LEFT, 0.5),
]
KEPT = {"a": (1, 4), "b": (1,)}
ALL, SEARCHED = 6 + 3, 2 + 1


@pytest.fixture(scope="module")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random tracker of SAM 3 that finds everything visible."""
    backbone = random_backbone(kind="sam3")
    with torch.no_grad():
        backbone.sam.mask_decoder.pred_obj_score_head.proj_out.bias.add_(20)
    folder = tmp_path_factory.mktemp("sam3")
    backbone.sam.save_pretrained(folder)
    return folder


@pytest.fixture
def inputs(index: Path, sam3: Path, write_candidates: Callable) -> TrackInputs:
    return TrackInputs(index, write_candidates(ROWS), sam3)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames of each pass of the image transformer."""
    found: list[int] = []
    encode = Sam3Backbone.hidden_states

    def counted(self: Sam3Backbone, frames: Tensor) -> Tensor:
        found.append(len(frames))
        return encode(self, frames)

    monkeypatch.setattr(Sam3Backbone, "hidden_states", counted)
    return found


@torch.no_grad()
def keep(inputs: TrackInputs) -> KeptFeatures:
    """Write the features of the frames with candidates beside the table, as tgl ground does."""
    backbone = load_backbone(inputs.backbone).eval()
    assert isinstance(backbone, Sam3Backbone)
    folder, index = inputs.candidates.parent, Index.open(inputs.index)
    for name, frames in KEPT.items():
        video = index.videos[name]
        for frame in frames:
            path = features_path(folder, name, video.frame_names[frame])
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = read_resized(video, frame, SAM3_SIZE)
            write_hidden(path, backbone.hidden_states(pixels[None])[0])
    about = {name: KeptVideo(SAM3_SIZE, "fp32", frames_digest(index.videos[name])) for name in KEPT}
    kept = KeptFeatures(weights_digest(inputs.backbone), about)
    kept.write(folder)
    return kept


@pytest.mark.parametrize("config", [TrackConfig(), TrackConfig(feature_memory=0, chunk_frames=2)])
def test_the_tracks_are_the_same_with_fewer_passes(
    run_stage: Callable,
    inputs: TrackInputs,
    passes: list[int],
    tmp_path: Path,
    config: TrackConfig,
) -> None:
    plain = run_stage(STAGE, config, inputs, tmp_path / "plain")
    before = sum(passes)
    keep(inputs)
    passes.clear()
    progress = SilentProgress()
    outcome = run_stage(STAGE, config, inputs, tmp_path / "shared", progress=progress)
    assert plain.counts["masks"] > ALL
    assert list_folder(tmp_path / "shared").tables == list_folder(tmp_path / "plain").tables
    assert progress.warnings == []
    encoded, finished = (f"frames encoded{by}" for by in ("", " by ground"))
    assert plain.counts[encoded] == before
    assert plain.counts[finished] == 0
    assert outcome.counts[encoded] == sum(passes)
    assert outcome.counts[finished] == before - sum(passes)
    if config == TrackConfig():
        assert (before, sum(passes)) == (ALL, ALL - SEARCHED)
    else:  # the searched frames once more, as a clip of their own
        assert before - sum(passes) > SEARCHED


def test_features_are_not_in_the_fingerprint(
    run_stage: Callable, inputs: TrackInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    keep(inputs)
    assert run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out").skipped


def test_features_of_something_else_are_not_used_and_it_is_said_once(
    run_stage: Callable, inputs: TrackInputs, tmp_path: Path
) -> None:
    kept = keep(inputs)

    def track(note: KeptFeatures, config: TrackConfig | None = None) -> tuple[list[str], float]:
        progress = SilentProgress()
        note.write(inputs.candidates.parent)
        outcome = run_stage(
            STAGE, config or TrackConfig(), inputs, tmp_path / "out", progress=progress, force=True
        )
        return progress.warnings, outcome.counts["frames encoded by ground"]

    def changed(**values: object) -> KeptFeatures:
        videos = {name: replace(video, **values) for name, video in kept.videos.items()}
        return replace(kept, videos=videos)

    unused = "features of 2 videos are not used: they are of "
    assert track(replace(kept, weights="others")) == (
        ["the features beside the candidates are not used: they are of other weights"],
        0,
    )
    assert track(changed(precision="bf16")) == (
        [f"{unused}another precision (bf16, not fp32)"],
        0,
    )
    assert track(changed(frames="others")) == ([f"{unused}other frames"], 0)
    assert track(kept, TrackConfig(image_size=28)) == (
        [f"{unused}another image size (56 pixels, not 28)"],
        0,
    )
    one = replace(kept, videos={"a": kept.videos["a"]})
    assert track(one) == ([], len(KEPT["a"]))


def test_a_missing_file_is_encoded_again(
    run_stage: Callable, inputs: TrackInputs, passes: list[int], tmp_path: Path
) -> None:
    keep(inputs)
    features_path(inputs.candidates.parent, "a", "00004").unlink()
    passes.clear()
    outcome = run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert sum(passes) == ALL - SEARCHED + 1
    assert outcome.counts["frames encoded by ground"] == SEARCHED - 1


def test_a_damaged_file_fails_its_video_alone(
    run_stage: Callable, inputs: TrackInputs, tmp_path: Path
) -> None:
    keep(inputs)
    path = features_path(inputs.candidates.parent, "b", "00001")
    path.write_bytes(path.read_bytes()[:-1])
    outcome = run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert len(outcome.failures) == 1
    assert outcome.failures["b"].startswith("video b: ")
    assert "00001.safetensors: is damaged; rerun tgl ground" in outcome.failures["b"]
    assert Index.open(tmp_path / "out").videos.keys() == {"a"}
    keep(inputs)
    outcome = run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert not outcome.failures
    assert outcome.counts["videos kept from before"] == 1


def test_a_damaged_note_is_refused(
    run_stage: Callable, inputs: TrackInputs, tmp_path: Path
) -> None:
    keep(inputs)
    note = inputs.candidates.parent / FEATURES_FILE
    note.write_text(json.dumps({"version": 1, "weights": "x", "videos": {"a": {}}}))
    with pytest.raises(CorruptInput, match=r"features\.json: is not a note of tgl ground; rerun"):
        run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
