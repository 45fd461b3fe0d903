"""Masks of accepted tracks, as files and tables, and the life of the stage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tracks_mini import HEIGHT, TRACK_MASKS, WIDTH

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, SchemaMismatch
from schemas.parquet import read_table
from schemas.tables import OBJECTS, PROPAGATION
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.table_paths import moments_file
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE as SCORE
from stages.zero_shot.assemble.config import AssembleConfig
from stages.zero_shot.assemble.stage import STAGE

LENGTHS = {"a": 6, "b": 3}
ACCEPTED = {("a", "0"): ["a.0"], ("a", "1"): ["a.0", "a.2"], ("a", "2"): [], ("b", "0"): ["b.0"]}


def union(names: list[str], frame: int) -> np.ndarray:
    total = np.zeros((HEIGHT, WIDTH), bool)
    for name in names:
        total |= TRACK_MASKS[name].get(frame, False)
    return total


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_masks_are_the_union_of_the_accepted_tracks(
    run_stage: Callable, tracks, tmp_path: Path
) -> None:
    progress = SilentProgress()
    out = tmp_path / "out"
    outcome = run_stage(STAGE, AssembleConfig(), tracks.inputs, out, progress=progress)
    for (video, name), own in ACCEPTED.items():
        for frame in range(LENGTHS[video]):
            mask = read(out / video / name / f"{frame:05d}.png")
            assert np.array_equal(mask, 255 * union(own, frame).astype(np.uint8))
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        *("a", "b", "objects.parquet", "propagation.parquet", "receipt.json")
    ]
    assert progress.warnings == ["no track is accepted for 1 of 4 sentences: their masks are empty"]
    assert dict(outcome.counts) == {
        "videos": 2,
        "videos failed": 0,
        "masks": 21,
        "accepted tracks": 4,
        "sentences without a track": 1,
        "videos kept from before": 0,
    }


def test_tables(run_stage: Callable, tracks, tmp_path: Path) -> None:
    run_stage(STAGE, AssembleConfig(), tracks.inputs, tmp_path / "out")
    rows = read_table(tmp_path / "out" / "propagation.parquet", PROPAGATION).to_pylist()
    assert len(rows) == 21
    by_sentence: dict = {}
    for row in rows:
        by_sentence.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    routes = {key: [row["route"][0] for row in own] for key, own in by_sentence.items()}
    assert {key: "".join(words) for key, words in routes.items()} == {
        ("a", "0"): "pllppp",
        ("a", "1"): "llppll",
        ("a", "2"): "eeeeee",
        ("b", "0"): "plp",
    }
    relevance = [row["relevance"] for row in by_sentence["a", "0"]]
    assert relevance == [None, *[pytest.approx(0.8)] * 2, None, None, None]
    assert [r["relevance"] for r in by_sentence["a", "1"]] == [None] * 4 + [0.5] * 2
    assert {row["object_score"] for row in rows} == {None}
    areas = [row["mask_area"] for row in by_sentence["a", "1"]]
    assert areas == [int(union(["a.0", "a.2"], frame).sum()) for frame in range(6)]
    objects = read_table(tmp_path / "out" / "objects.parquet", OBJECTS).to_pylist()
    assert [tuple(row.values()) for row in objects] == [
        ("a", "0", "a.0", 1, pytest.approx(0.8), 4),
        ("a", "1", "a.0", 1, None, 4),
        ("a", "1", "a.2", 2, 0.5, 6),
        ("b", "0", "b.0", 1, 0.25, 3),
    ]


def test_objects_as_palette_images(run_stage: Callable, tracks, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_stage(STAGE, AssembleConfig(objects="palette"), tracks.inputs, out)
    for frame in range(6):
        numbers = read(out / "ObjectMasks" / "a" / "1" / f"{frame:05d}.png")
        one, two = union(["a.0"], frame), union(["a.2"], frame)
        assert np.array_equal(numbers, np.where(two, 2, one.astype(int)))
    assert not read(out / "ObjectMasks" / "a" / "2" / "00000.png").any()


def test_objects_in_folders(run_stage: Callable, tracks, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_stage(STAGE, AssembleConfig(objects="folders"), tracks.inputs, out)
    for name in ("a.0", "a.2"):
        for frame in range(6):
            mask = read(out / "ObjectMasks" / "a" / "1" / name / f"{frame:05d}.png")
            assert np.array_equal(mask > 0, union([name], frame))
    assert not (out / "ObjectMasks" / "a" / "2").exists()


def test_score_reads_it_without_a_word_about_object_masks(
    run_stage: Callable, tracks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_stage(STAGE, AssembleConfig(objects="palette"), tracks.inputs, out)
    score = run_stage(
        SCORE, ScoreConfig(pictures=0), ScoreInputs(out, tmp_path / "index"), tmp_path / "scores"
    )
    assert score.counts["expressions"] == 4
    assert not [name for name in score.counts if "extra" in name and score.counts[name]]
    scores = pq.read_table(tmp_path / "scores" / "scores.parquet").to_pylist()
    found = {(row["video_id"], row["expression_id"]): row["J"] for row in scores}
    assert found["a", "0"] == found["a", "2"] == found["b", "0"] == 1


def test_skip_rerun_and_kept_videos(run_stage: Callable, tracks, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_stage(STAGE, AssembleConfig(), tracks.inputs, out)
    before = (out / "b" / "0" / "00000.png").stat().st_ino
    assert run_stage(STAGE, AssembleConfig(), tracks.inputs, out).skipped
    tracks.accept([("a", "0", "a.1", 0, 1, 0.5), ("b", "0", None, 1, 2, 0.25)])
    outcome = run_stage(STAGE, AssembleConfig(), tracks.inputs, out)
    assert outcome.counts["videos kept from before"] == 1
    assert (out / "b" / "0" / "00000.png").stat().st_ino == before
    assert np.array_equal(read(out / "a" / "0" / "00000.png") > 0, union(["a.1"], 0))
    changed = run_stage(STAGE, AssembleConfig(objects="folders"), tracks.inputs, out)
    assert changed.counts["videos kept from before"] == 0


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, tracks, tmp_path: Path
) -> None:
    config = AssembleConfig(objects="palette")
    run_stage(STAGE, config, tracks.inputs, tmp_path / "whole")
    killed_run(STAGE, config, tracks.inputs, tmp_path / "out", after=1)
    outcome = run_stage(STAGE, config, tracks.inputs, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out") == list_folder(tmp_path / "whole")


def test_two_workers_equal_one(run_stage: Callable, tracks, tmp_path: Path) -> None:
    run_stage(STAGE, AssembleConfig(), tracks.inputs, tmp_path / "one")
    run_stage(STAGE, AssembleConfig(), tracks.inputs, tmp_path / "two", workers=2)
    assert list_folder(tmp_path / "one") == list_folder(tmp_path / "two")


def test_a_damaged_mask_fails_its_video_alone(run_stage: Callable, tracks, tmp_path: Path) -> None:
    table = pq.read_table(tmp_path / "tracks" / "masks.parquet").to_pylist()
    for row in table:
        if row["anno_id"] == "b.0":
            row["counts"] = row["counts"][:1]
    schema = pq.read_schema(tmp_path / "tracks" / "masks.parquet")
    changed = pq.read_table(tmp_path / "tracks" / "masks.parquet").from_pylist(table, schema)
    pq.write_table(changed, tmp_path / "tracks" / "masks.parquet")
    outcome = run_stage(STAGE, AssembleConfig(), tracks.inputs, tmp_path / "out")
    assert outcome.counts["videos failed"] == 1
    assert "do not fill" in outcome.failures["b"]
    assert not (tmp_path / "out" / "b").exists()
    assert (tmp_path / "out" / "a" / "0" / "00005.png").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "9", "a.0", 0, 1, None), "expression 9: the index has no such sentence"),
        (("a", "0", "b.0", 0, 1, None), "expression 0: b.0 is not a track of this sentence"),
        (("a", "0", "a.0", 2, 2, None), r"span \[2, 2\) is empty"),
        (("a", "0", "a.0", 0, 7, None), r"span \[0, 7\).*6 frames"),
    ],
)
def test_moments_that_do_not_fit(
    run_stage: Callable, tracks, tmp_path: Path, row: tuple, message: str
) -> None:
    tracks.accept([row])
    with pytest.raises(CorruptInput, match=message):
        run_stage(STAGE, AssembleConfig(), tracks.inputs, tmp_path / "out")


def test_mistakes(run_stage: Callable, tracks, tmp_path: Path, backbone_folder: Path) -> None:
    with pytest.raises(ConfigError, match="--backbone: --masks mdp needs a tracker"):
        run_stage(STAGE, AssembleConfig(masks="mdp"), tracks.inputs, tmp_path / "out")
    inputs = replace(tracks.inputs, backbone=backbone_folder)
    with pytest.raises(ConfigError, match="--backbone: has no effect"):
        run_stage(STAGE, AssembleConfig(), inputs, tmp_path / "out")
    assert moments_file(tmp_path / "moments.parquet") == tmp_path / "moments.parquet"
    (tmp_path / "selected").mkdir()
    with pytest.raises(MissingInput, match=r"has no moments\.parquet"):
        moments_file(tmp_path / "selected")
    shutil.copy(tmp_path / "moments.parquet", tmp_path / "selected")
    assert moments_file(tmp_path / "selected") == tmp_path / "selected" / "moments.parquet"
    with pytest.raises(MissingInput, match="no such file"):
        moments_file(tmp_path / "nowhere")
    (tmp_path / "m.csv").write_text("video_id\n")
    with pytest.raises(SchemaMismatch, match="is not a moments table"):
        moments_file(tmp_path / "m.csv")


def test_mdp_keeps_the_tracks_in_their_moments(
    run_stage: Callable, tracks, tmp_path: Path, backbone_folder: Path
) -> None:
    inputs = replace(tracks.inputs, backbone=backbone_folder)
    config = AssembleConfig(masks="mdp", objects="folders")
    out = tmp_path / "out"
    run_stage(STAGE, config, inputs, out)
    for name, frames in (("a.0", (0, 1)), ("a.2", (4, 5))):
        for frame in frames:
            mask = read(out / "ObjectMasks" / "a" / "1" / name / f"{frame:05d}.png")
            assert np.array_equal(mask > 0, union([name], frame))
    rows = read_table(out / "propagation.parquet", PROPAGATION).to_pylist()
    scores = [row["object_score"] for row in rows if row["expression_id"] == "0"]
    assert [score is None for score in scores] == [False, True, True] + [False] * 4 + [True, False]
    assert run_stage(STAGE, config, inputs, out).skipped


@pytest.mark.slow
def test_mdp_on_two_devices_equals_one(
    run_stage: Callable, tracks, tmp_path: Path, backbone_folder: Path
) -> None:
    inputs, config = replace(tracks.inputs, backbone=backbone_folder), AssembleConfig(masks="mdp")
    run_stage(STAGE, config, inputs, tmp_path / "one")
    two = Runtime(workers=1, devices="cpu,cpu")
    execute(STAGE, config, inputs, tmp_path / "two", runtime=two, progress=SilentProgress())
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "two").tables
