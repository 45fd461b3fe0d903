"""track with a tiny random tracker of the real class, loaded as a real one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.directories import list_folder
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from schemas.layouts import safe_name
from schemas.parquet import read_table
from schemas.tables import TRACKS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.media.rle import encode
from stages.score.truth.index import read_index
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.zero_shot.track.config import TrackConfig, TrackInputs, candidates_file
from stages.zero_shot.track.stage import STAGE

LEFT, RIGHT = (0.0, 3.0, 5.0, 8.0), (9.0, 2.0, 15.0, 9.0)
ROWS = [
    ("a", "0", 0, LEFT, 0.9),
    ("a", "0", 0, RIGHT, 0.4),
    ("a", "0", 4, LEFT, 0.8),
    ("a", "1", 0, RIGHT, 0.7),
    ("a", "1", 4, RIGHT, 0.6),
    ("b", "0", 1, LEFT, 0.5),
]


@pytest.fixture
def given(index: Path, tracker: Path, write_candidates: Callable) -> tuple:
    """Config and inputs of a run on both videos."""
    return TrackConfig(), TrackInputs(index, write_candidates(ROWS), tracker)


def rows_of(folder: Path) -> list[dict]:
    return read_table(folder / "tracks.parquet", TRACKS).to_pylist()


def test_out_is_an_index_of_tracks(run_stage: Callable, given: tuple, tmp_path: Path) -> None:
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    source, index = Index.open(given[1].index), Index.open(tmp_path / "out")
    assert index.videos.keys() == source.videos.keys()
    assert [v.frame_path(0).read_bytes() for v in index.videos.values()] == [
        v.frame_path(0).read_bytes() for v in source.videos.values()
    ]
    assert [(e.key, e.text) for e in index.expressions] == [
        (e.key, e.text) for e in source.expressions
    ]
    assert all(not index.moments(*e.key) for e in index.expressions)
    rows = rows_of(tmp_path / "out")
    listed = [(*e.key, anno) for e in index.expressions for anno in e.anno_ids]
    assert [(r["video_id"], r["expression_id"], r["anno_id"]) for r in rows] == listed
    assert {e.key for e in index.expressions if e.anno_ids} == {(v, e) for v, e, *_ in ROWS}
    tracks = {r["anno_id"]: r for r in rows}
    assert outcome.counts["tracks"] == len(tracks)
    assert outcome.counts["masks"] == sum(r["visible_frames"] for r in tracks.values())
    for name, row in tracks.items():
        assert safe_name(name, where="") == name
        assert name.startswith(row["video_id"])
        masks = index.masks.frames_of(name)
        assert len(masks) == row["visible_frames"] > 0
        assert 0 < row["quality"] <= 1
        video = index.videos[row["video_id"]]
        assert all(list(m["size"]) == [video.height, video.width] for m in masks.values())
    assert run_stage(STAGE, *given, tmp_path / "out").skipped


def test_scores_are_the_best_of_a_sentences_candidates(
    run_stage: Callable, given: tuple, tmp_path: Path
) -> None:
    run_stage(STAGE, TrackConfig(join=0.0, same_object=0.0), given[1], tmp_path / "out")
    rows = {(r["video_id"], r["expression_id"]): r for r in rows_of(tmp_path / "out")}
    assert {key: (round(r["score"], 4), r["candidates"]) for key, r in rows.items()} == {
        ("a", "0"): (0.9, 3),
        ("a", "1"): (0.7, 2),
        ("b", "0"): (0.5, 1),
    }
    assert len({r["anno_id"] for r in rows.values()}) == 2  # one per video: all are one object


def test_every_reader_of_an_index_reads_the_tracks(
    run_stage: Callable, given: tuple, tmp_path: Path
) -> None:
    run_stage(STAGE, *given, tmp_path / "out")
    report = check(
        tmp_path / "out", CheckConfig(), runtime=Runtime(workers=1), progress=SilentProgress()
    )
    assert report.kind == "index"
    assert not report.faults
    truth = read_index(tmp_path / "out")
    assert [cases.video_id for cases in truth] == ["a", "b"]


def test_a_changed_setting_reruns(run_stage: Callable, given: tuple, tmp_path: Path) -> None:
    run_stage(STAGE, *given, tmp_path / "out")
    before = list_folder(tmp_path / "out").tables
    outcome = run_stage(STAGE, TrackConfig(max_tracks=1), given[1], tmp_path / "out")
    assert not outcome.skipped
    assert list_folder(tmp_path / "out").tables != before
    batched = TrackConfig(max_tracks=1, feature_memory=0.0, chunk_frames=1)
    assert run_stage(STAGE, batched, given[1], tmp_path / "out").skipped


def test_features_that_do_not_fit_give_the_same_tracks(
    run_stage: Callable, given: tuple, tmp_path: Path
) -> None:
    run_stage(STAGE, *given, tmp_path / "one")
    small = TrackConfig(feature_memory=0.0, chunk_frames=1)
    outcome = run_stage(STAGE, small, given[1], tmp_path / "two")
    one, two = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert [r["anno_id"] for r in one] == [r["anno_id"] for r in two]
    assert np.allclose([r["quality"] for r in one], [r["quality"] for r in two], atol=1e-4)
    # The searched frames once, and every frame at most once per direction.
    assert outcome.counts["frames encoded"] <= 3 + 2 * 9


def test_what_is_left_out_is_counted_and_said(
    run_stage: Callable, given: tuple, tmp_path: Path
) -> None:
    progress = SilentProgress()
    config = TrackConfig(same_object=1.0, join=1.0, merge=1.0, max_tracks=1, search_frames=1)
    outcome = run_stage(STAGE, config, given[1], tmp_path / "out", progress=progress)
    assert outcome.counts["tracks dropped (--max-tracks)"] >= 1
    assert outcome.counts["frames not searched"] == 1
    assert any("--max-tracks is 1" in line for line in progress.warnings)
    assert any("--search-frames is 1" in line for line in progress.warnings)
    everything = TrackConfig(min_support=1.0, join=1.0, same_object=1.0)
    outcome = run_stage(STAGE, everything, given[1], tmp_path / "strict")
    assert outcome.counts["tracks dropped (few candidates)"] >= 1


def test_a_video_without_candidates_has_no_tracks(
    run_stage: Callable, given: tuple, write_candidates: Callable, tmp_path: Path
) -> None:
    inputs = TrackInputs(given[1].index, write_candidates(ROWS[:5]), given[1].backbone)
    progress = SilentProgress()
    outcome = run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out", progress=progress)
    assert "no tracks in 1 video (b)" in progress.warnings
    assert outcome.counts["videos without tracks"] == 1
    assert outcome.counts["expressions without tracks"] == 2  # a/2, b/0
    assert Index.open(tmp_path / "out").videos.keys() == {"a", "b"}
    assert run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out").skipped


def test_no_candidates_at_all(
    run_stage: Callable, given: tuple, write_candidates: Callable, tmp_path: Path
) -> None:
    inputs = TrackInputs(given[1].index, write_candidates([]), given[1].backbone)
    outcome = run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert outcome.counts["tracks"] == outcome.counts["masks"] == 0
    assert not Index.open(tmp_path / "out").masks.has_rows


def test_a_video_of_one_frame_with_200_candidates(
    run_stage: Callable, mevis, tracker: Path, write_candidates: Callable, tmp_path: Path
) -> None:
    mevis.meta["videos"]["b"]["frames"] = ["00000"]
    mevis.masks["9"] = mevis.masks["9"][:1]
    mevis.moments = None
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    random = np.random.default_rng(0)
    corners = np.sort(random.uniform(0, 12, (200, 2, 2)), axis=2).transpose(0, 2, 1).reshape(-1, 4)
    rows = [("b", "0", 0, tuple(box), 0.5) for box in corners.tolist()]
    inputs = TrackInputs(tmp_path / "index", write_candidates(rows), tracker)
    outcome = run_stage(STAGE, TrackConfig(max_tracks=5), inputs, tmp_path / "out")
    assert outcome.counts["candidates"] == 200
    assert 1 <= outcome.counts["tracks"] <= 5
    total = {r["anno_id"]: r["candidates"] for r in rows_of(tmp_path / "out")}
    assert sum(total.values()) <= 200


def test_masks_of_a_detector_are_prompts(
    run_stage: Callable,
    index: Path,
    tracker: Path,
    write_candidates: Callable,
    square_mask: Callable,
    tmp_path: Path,
) -> None:
    counts = encode(square_mask(2))["counts"]
    path = write_candidates([("b", "0", 1, (2.0, 3.0, 6.0, 7.0), 0.5)], counts)
    run_stage(STAGE, TrackConfig(), TrackInputs(index, path, tracker), tmp_path / "out")
    [row] = rows_of(tmp_path / "out")
    drawn = Index.open(tmp_path / "out").masks.mask(row["anno_id"], 1)
    both, either = (drawn & square_mask(2)).sum(), (drawn | square_mask(2)).sum()
    assert both / either > 0.6  # the mask itself, at the resolution of the decoder


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, given: tuple, tmp_path: Path, counting: Any
) -> None:
    run_stage(STAGE, *given, tmp_path / "whole", progress=counting)
    steps, _ = counting.reports[-1]
    killed_run(STAGE, *given, tmp_path / "out", after=steps - 2)  # in the second video
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out").tables == list_folder(tmp_path / "whole").tables


@pytest.mark.slow  # two processes load torch
def test_two_devices_give_what_one_does(run_stage: Callable, given: tuple, tmp_path: Path) -> None:
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
    run_stage: Callable, given: tuple, scheduler: str, tmp_path: Path
) -> None:
    """Two threads of one process, which share the tracker."""
    run_stage(STAGE, *given, tmp_path / "one")
    runtime = Runtime(workers=1, device="cpu", scheduler=scheduler)
    execute(STAGE, *given, tmp_path / "many", runtime=runtime, progress=SilentProgress())
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "many").tables


def test_an_unreadable_frame_fails_its_video_alone(
    run_stage: Callable, given: tuple, mevis, tmp_path: Path
) -> None:
    frame = mevis.root / "JPEGImages/b/00002.jpg"
    frame.write_bytes(frame.read_bytes()[:200])
    outcome = run_stage(STAGE, *given, tmp_path / "out")
    assert len(outcome.failures) == 1
    assert outcome.failures["b"].startswith("video b: ")
    assert Index.open(tmp_path / "out").videos.keys() == {"a"}
    for name in range(6):
        (mevis.root / f"JPEGImages/a/{name:05d}.jpg").write_bytes(b"none")
    with pytest.raises(CorruptInput, match=r"2 videos, all of which failed"):
        run_stage(STAGE, *given, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_unsuitable_inputs_are_refused_once(
    run_stage: Callable, given: tuple, write_candidates: Callable, tmp_path: Path
) -> None:
    index, backbone = given[1].index, given[1].backbone
    wrong = write_candidates([("a", "0", 6, LEFT, 0.5)])
    with pytest.raises(CorruptInput, match=r"frame 6: the video has 6 frames, counted from 0"):
        run_stage(STAGE, TrackConfig(), TrackInputs(index, wrong, backbone), tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    (other / "model.safetensors").write_bytes((backbone / "model.safetensors").read_bytes())
    inputs = TrackInputs(index, write_candidates(ROWS), other)
    with pytest.raises(SchemaMismatch, match=r"backbone of model_type 'bert'"):
        run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_image_size(run_stage: Callable, given: tuple, tmp_path: Path) -> None:
    run_stage(STAGE, *given, tmp_path / "whole")
    run_stage(STAGE, TrackConfig(image_size=32), given[1], tmp_path / "small")
    whole, small = (Index.open(tmp_path / name) for name in ("whole", "small"))
    assert whole.videos.keys() == small.videos.keys()
    assert whole.masks.frames_of("b_001") != small.masks.frames_of("b_001")


def test_a_folder_without_candidates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"has no candidates.parquet; name OUT of tgl ground"):
        candidates_file(tmp_path)
    with pytest.raises(MissingInput, match="no such file"):
        candidates_file(tmp_path / "nothing")
