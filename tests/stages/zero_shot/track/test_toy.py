"""track with the toy tracker on toy clips, from true boxes with noise, misses and false ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Stage
from stages.core.index.index import Index, Video
from stages.core.model.loading.hub import TOY_BACKBONE
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY
from stages.zero_shot.ground.config import GroundConfig, GroundInputs
from stages.zero_shot.ground.stage import STAGE as GROUND
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.stage import STAGE as TRACK

CLIPS = 2


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A folder with index and tracks, and the outcome of tracking."""
    root = tmp_path_factory.mktemp("toy")
    runtime, progress = Runtime(workers=1, device="cpu"), SilentProgress()

    def run(stage: Stage[Any, Any], config: Any, inputs: Any, name: str) -> Outcome:
        return execute(stage, config, inputs, root / name, runtime=runtime, progress=progress)

    run(TOY, ToyConfig(train_clips=0, valid_clips=CLIPS, dev_clips=0), ToyInputs(), "toy")
    run(BUILD, IndexConfig(), IndexInputs(root / "toy/valid"), "index")
    objects = root / "toy/valid/objects.json"
    boxes = GroundConfig(model="objects", frames=8)
    run(GROUND, boxes, GroundInputs(root / "index", objects=objects), "candidates")
    table = root / "candidates/candidates.parquet"
    return root, run(
        TRACK, TrackConfig(), TrackInputs(root / "index", table, TOY_BACKBONE), "tracks"
    )


def whole(index: Index, video: Video, anno_id: str) -> np.ndarray:
    """(T, H, W) bool masks of an object."""
    masks = np.zeros((video.num_frames, video.height, video.width), bool)
    for frame in index.masks.frames_of(anno_id):
        masks[frame] = index.masks.mask(anno_id, frame)
    return masks


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def names(index: Index, video: str) -> list[str]:
    return sorted({name for e in index.expressions_of(video) for name in e.anno_ids})


def test_each_object_has_one_track_and_false_boxes_have_none(world: tuple[Path, Outcome]) -> None:
    root, outcome = world
    truth, tracks = Index.open(root / "index"), Index.open(root / "tracks")
    best, found = [], 0
    for video in truth.videos.values():
        true = [whole(truth, video, name) for name in names(truth, video.video_id)]
        own = [whole(tracks, video, name) for name in names(tracks, video.video_id)]
        found += len(own)
        overlaps = np.array([[iou(one, other) for other in own] for one in true])
        best += overlaps.max(axis=1).tolist()
        assert len(set(overlaps.argmax(axis=1))) == len(true)  # no track stands for two objects
    assert min(best) > 0.5
    assert np.mean(best) > 0.8
    assert outcome.counts["tracks dropped (few candidates)"] >= 3  # 8 frames, a false box on each
    assert found <= len(best) + 3  # objects without a sentence have tracks too


def test_each_track_is_listed_for_every_sentence_with_its_candidates(
    world: tuple[Path, Outcome],
) -> None:
    """The boxes are the same for every sentence, so all of them list all tracks."""
    root, _ = world
    tracks = Index.open(root / "tracks")
    for video in tracks.videos:
        lists = {frozenset(e.anno_ids) for e in tracks.expressions_of(video)}
        assert lists == {frozenset(names(tracks, video))}
