"""build-moments through execute(): index, skip, rerun, resumption, moments from visibility."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from schemas.directories import list_folder
from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.datasets.moment_rows import MomentRow
from stages.core.engine.progress import SilentProgress
from stages.core.index.index import Expression, Index
from stages.core.moment_formats.context import MomentContext, Timing
from stages.core.moment_formats.registry import moment_format


def _build(run_stage: Callable, split: Path, out: Path, **config: str) -> Index:
    run_stage(STAGE, IndexConfig(**config), IndexInputs(split), out)
    return Index.open(out)


def test_an_index_says_what_the_split_said(
    run_stage: Callable, mevis, square_mask: Callable, tmp_path: Path
) -> None:
    split = mevis.write()
    outcome = run_stage(STAGE, IndexConfig(), IndexInputs(split), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert outcome.counts["videos"] == 2
    assert outcome.counts["expressions"] == 4
    assert outcome.counts["without target"] == 1
    assert outcome.counts["masks"] == 4 + 4 + 3
    video = index.videos["a"]
    assert (video.num_frames, video.height, video.width) == (6, 12, 16)
    assert video.frame_path(5).resolve() == (split / "JPEGImages/a/00005.jpg").resolve()
    assert video.frame_path(5).is_file()
    assert [e.text for e in index.expressions_of("b")] == ["the left one jumps"]
    assert index.expressions_of("a")[1].anno_ids == ("7", "8")
    assert index.expressions_of("a")[2].anno_ids == ()
    assert index.moments("a", "1") == {"7": [(0, 2)], "8": [(0, 1), (4, 6)]}
    assert index.moments("b", "0") == {None: [(0, 3)]}
    assert index.relevant("a", "1").tolist() == [True, True, False, False, True, True]
    assert np.array_equal(index.masks.mask("8", 4), square_mask(4))
    assert index.masks.mask("8", 2) is None
    assert sorted(index.masks.frames_of("7")) == [0, 1, 2, 3]


def test_the_second_meta_file_of_mevis_is_read_too(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    mevis.expression("a", "2").clear()
    mevis.expression("a", "2").update({"exp": "none", "audio": "x.wav"})
    mevis.meta["version"] = 2
    split = mevis.write(meta_name="meta_expressions_text_release.json")
    index = _build(run_stage, split, tmp_path / "index")
    assert index.expressions_of("a")[2].anno_ids == ()


def test_a_split_without_masks_and_moments(run_stage: Callable, mevis, tmp_path: Path) -> None:
    mevis.moments = None
    for video, name in (("a", "0"), ("a", "1"), ("b", "0")):
        body = mevis.expression(video, name)
        del body["obj_id"], body["anno_id"]
    split = mevis.write()
    (split / "mask_dict.json").unlink()
    index = _build(run_stage, split, tmp_path / "index")
    assert index.moments("a", "0") == {}
    assert index.masks.frames_of("7") == {}


def test_moments_from_visibility_are_marked_as_such(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    index = _build(run_stage, mevis.write(), tmp_path / "index", moments_from="visibility")
    assert index.moments("a", "1") == {"7": [(0, 4)], "8": [(0, 2), (4, 6)]}
    table = read_table(tmp_path / "index" / MOMENTS_TABLE, MOMENTS)
    assert set(table.column("source").to_pylist()) == {"visibility"}


def test_second_run_skips_and_changes_are_seen(run_stage: Callable, mevis, tmp_path: Path) -> None:
    split, out = mevis.write(), tmp_path / "index"
    assert not run_stage(STAGE, IndexConfig(), IndexInputs(split), out).skipped
    assert run_stage(STAGE, IndexConfig(), IndexInputs(split), out).skipped
    visible = IndexConfig(moments_from="visibility")
    assert not run_stage(STAGE, visible, IndexInputs(split), out).skipped
    mevis.expression("a", "0")["exp"] = "another sentence"
    mevis.write(frames=False)
    assert not run_stage(STAGE, visible, IndexInputs(split), out).skipped
    assert Index.open(out).expressions_of("a")[0].text == "another sentence"


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, mevis, tmp_path: Path
) -> None:
    inputs = IndexInputs(mevis.write())
    (tmp_path / "whole").mkdir()
    (tmp_path / "again").mkdir()
    run_stage(STAGE, IndexConfig(), inputs, tmp_path / "whole" / "index")
    out = tmp_path / "again" / "index"
    killed_run(STAGE, IndexConfig(), inputs, out, after=2)
    assert not out.exists()
    run_stage(STAGE, IndexConfig(), inputs, out)
    assert list_folder(out) == list_folder(tmp_path / "whole" / "index")
    assert [path.name for path in out.parent.iterdir()] == ["index"]


def test_an_index_stays_valid_when_it_moves_with_its_data(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    mevis.root = tmp_path / "project" / "data"
    _build(run_stage, mevis.write(), tmp_path / "project" / "index")
    shutil.move(tmp_path / "project", tmp_path / "elsewhere")
    index = Index.open(tmp_path / "elsewhere" / "index")
    assert index.videos["a"].frame_path(0).is_file()


def test_frames_from_extract_frames(
    run_stage: Callable, mevis, frames_artifact: Callable, tmp_path: Path
) -> None:
    split = mevis.write(frames=False)
    frames = frames_artifact({"a": 6, "b": 3}, fps=6)
    run_stage(STAGE, IndexConfig(), IndexInputs(split, frames), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.videos["a"].fps == 6.0
    assert index.videos["a"].frame_path(2).is_file()
    (frames / "JPEGImages" / "a" / "00003.jpg").unlink()
    with pytest.raises(MissingInput, match=r"00003\.jpg: .*listed but missing"):
        run_stage(STAGE, IndexConfig(), IndexInputs(split, frames), tmp_path / "index")


def test_another_moments_file_may_be_named(run_stage: Callable, mevis, tmp_path: Path) -> None:
    split = mevis.write()
    other = {**mevis.moments, "videos": {}}
    (tmp_path / "mine.json").write_text(json.dumps(other))
    inputs = IndexInputs(split, None, tmp_path / "mine.json")
    outcome = run_stage(STAGE, IndexConfig(), inputs, tmp_path / "index")
    assert outcome.counts["moments"] == 0
    assert outcome.counts["without moment"] == 3


@pytest.mark.parametrize(
    ("name", "text"), [("m.jsonl", ""), ("m.txt", ""), ("m.txt", " \n\n"), ("m.csv", "")]
)
def test_a_moments_file_that_lost_its_content(
    run_stage: Callable, mevis, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    inputs = IndexInputs(mevis.write(), None, tmp_path / name)
    with pytest.raises(CorruptInput, match=f"{name}: is empty"):
        run_stage(STAGE, IndexConfig(), inputs, tmp_path / "index")


def test_a_table_of_no_moments_is_told(
    run_stage: Callable, mevis, tmp_path: Path, progress: SilentProgress
) -> None:
    path = tmp_path / "m.csv"
    path.write_text("video_id,expression_id,anno_id,start_frame,end_frame\n")
    inputs = IndexInputs(mevis.write(), None, path)
    run_stage(STAGE, IndexConfig(), inputs, tmp_path / "index", progress=progress)
    assert progress.warnings == [f"{path}: has no moments"]


@pytest.mark.parametrize("name", ["cvat", "elan"])
def test_a_video_whose_moments_file_is_lost_is_told(
    run_stage: Callable, mevis, tmp_path: Path, progress: SilentProgress, name: str
) -> None:
    folder = tmp_path / "moments"
    expressions = (
        Expression("a", "0", "the left one jumps", ("0",), ("7",)),
        Expression("b", "0", "the left one jumps", ("0",), ("9",)),
    )
    timings = {video: Timing(frames, 6.0, 12, 16) for video, frames in (("a", 6), ("b", 3))}
    rows = [MomentRow("a", "0", None, 1, 3), MomentRow("b", "0", None, 0, 3)]
    moment_format(name).write(folder, rows, MomentContext(expressions, timings, "refuse"))
    inputs, config = IndexInputs(mevis.write(), None, folder), IndexConfig(fps=6.0)
    run_stage(STAGE, config, inputs, tmp_path / "index", progress=progress)
    assert progress.warnings == []
    next(folder.glob("b.*")).unlink()
    run_stage(STAGE, config, inputs, tmp_path / "index", progress=progress)
    assert progress.warnings == [f"{folder}: no moments of 1 video (b)"]
