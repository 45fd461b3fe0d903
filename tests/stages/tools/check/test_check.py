"""check lists every fault, names the part, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as coco

from schemas.directories import list_folder
from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import RECEIPT_FILE
from schemas.parquet import read_table, write_table
from schemas.tables import MASKS, MOMENTS, VIDEOS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.progress import SilentProgress, SilentTask, Task
from stages.core.engine.runtime import Runtime
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as TEXT
from stages.tools.check.artifact import check_checkpoint
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Findings, Report
from stages.tools.references.config import ReferencesConfig, ReferencesInputs
from stages.tools.references.stage import STAGE as REFERENCES


def _check(path: Path, **config: object) -> Report:
    before = list_folder(path) if path.is_dir() else None
    runtime = Runtime(workers=1, device="cpu")
    report = check(path, CheckConfig(**config), runtime=runtime, progress=SilentProgress())
    assert (list_folder(path) if path.is_dir() else None) == before
    json.dumps(report.to_dict())
    return report


def _messages(report: Report) -> str:
    return "\n".join(str(fault) for fault in report.faults)


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """A sound index."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


def test_a_sound_data_set_has_no_faults(mevis) -> None:
    report = _check(mevis.write())
    assert report.faults == ()
    assert report.kind == "data set (mevis)"
    assert report.counts == {
        "videos": 2,
        "frames": 9,
        "expressions": 4,
        "without target": 1,
        "tracks": 3,
        "masks": 11,
        "unreferenced tracks": 0,
        "moments": 5,
        "never true": 0,
    }


def test_every_fault_of_a_data_set_is_listed(mevis) -> None:
    mevis.expression("a", "0")["exp"] = " "
    mevis.expression("b", "0")["anno_id"] = [9]
    mevis.masks["9"][1] = {"size": [3, 4], "counts": [12]}
    mevis.meta["videos"]["A"] = json.loads(json.dumps(mevis.meta["videos"]["b"]))
    mevis.meta["videos"]["A"]["expressions"] = {"0": {"exp": "x", "obj_id": [1], "anno_id": [77]}}
    mevis.meta["videos"]["../c"] = mevis.meta["videos"]["b"]
    spans = mevis.moments["videos"]["a"]["expressions"]["1"]["moments"]
    spans["7"] = [[0, 3], [2, 5]]
    split = mevis.write(frames=False)
    del mevis.meta["videos"]["../c"]
    mevis.write()
    mevis.meta["videos"]["../c"] = mevis.meta["videos"]["b"]
    mevis.write(frames=False)
    (split / "JPEGImages" / "a" / "00002.jpg").unlink()
    whole = (split / "JPEGImages" / "b" / "00001.jpg").read_bytes()
    (split / "JPEGImages" / "b" / "00001.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (5, 5)).save(split / "JPEGImages" / "b" / "00002.jpg")
    found = _messages(_check(split))
    for words in (
        "expression 0: has no sentence",
        "mask 1 of anno id 9 is 4x3, its video 16x12",
        "the videos a and A differ by case alone",
        "no masks for 1 track of the expressions, first 77",
        "'../c'",
        "the spans [0, 3) and [2, 5) of anno id 7 overlap",
        "1 of 6 frames of video a are missing, first 00002.jpg",
        "00001.jpg: cannot be decoded",
        "00002.jpg: is 5x5, the video 16x12",
    ):
        assert words in found, found


def test_list_lengths_and_spans_against_the_video(mevis) -> None:
    mevis.masks["8"].pop()
    mevis.masks["7"] = [None] * 6
    mevis.moments["videos"]["a"]["expressions"]["1"]["moments"]["8"] = [[4, 60]]
    report = _check(mevis.write())
    assert report.by_part == {"masks": 2, "moments": 1}
    found = _messages(report)
    assert "anno id 8 has 5 masks, its video 6 frames" in found
    assert "anno id 7 is visible in no frame" in found
    assert "[4, 60) ends after the video's 6 frames" in found


def test_frames_may_be_left_undecoded(mevis) -> None:
    split = mevis.write()
    (split / "JPEGImages" / "b" / "00001.jpg").write_bytes(b"no picture")
    assert _check(split, images=False).faults == ()
    assert _check(split).by_part == {"frames": 1}


def test_a_damaged_document_is_a_fault_beside_others(mevis) -> None:
    split = mevis.write()
    (split / "JPEGImages" / "b" / "00001.jpg").unlink()
    text = (split / "mask_dict.json").read_text()
    (split / "mask_dict.json").write_text(text[:-40])
    report = _check(split)
    assert set(report.by_part) == {"frames", "masks"}


def test_a_sound_index_has_no_faults(index: Path) -> None:
    report = _check(index)
    assert report.faults == (), _messages(report)
    assert report.kind == "index"
    assert report.counts["masks"] == 11
    assert report.notes == ()


def test_a_lack_of_receipt_is_noted(index: Path) -> None:
    (index / RECEIPT_FILE).unlink()
    report = _check(index)
    assert report.faults == (), _messages(report)
    (note,) = report.notes
    assert note.startswith("no receipt.json: ")


def test_faults_of_an_index(index: Path) -> None:
    moments = read_table(index / "moments.parquet", MOMENTS).to_pylist()
    moments[0] |= {"end_frame": 50}
    moments[1] |= {"anno_id": "99"}
    moments[2] |= {"expression_id": "9"}
    _rewrite(index / "moments.parquet", moments, MOMENTS)
    masks = read_table(index / "masks.parquet", MASKS).to_pylist()
    masks[0] |= {"height": 13}
    masks[1] |= {"frame": 40}
    _rewrite(index / "masks.parquet", masks, MASKS)
    videos = read_table(index / "videos.parquet", VIDEOS).to_pylist()
    (index / videos[1]["frames_dir"] / "00000.jpg").unlink()
    report = _check(index)
    found = _messages(report)
    for words in (
        "[1, 50) ends after the video's 6 frames",
        "anno id 99 is not a referent of it",
        "the data set has no such expression",
        "the runs do not fill 16x13 pixels",
        "is 16x13, its video 16x12",
        "frame 40: its video has 6 frames",
        "00000.jpg: the frame is missing",
        "files were lost or changed",
    ):
        assert words in found, found


def test_an_index_that_was_moved_without_its_frames(index: Path, tmp_path: Path) -> None:
    videos = read_table(index / "videos.parquet", VIDEOS).to_pylist()
    (tmp_path / "elsewhere").mkdir()
    moved = index.rename(tmp_path / "elsewhere" / "index")
    report = _check(moved, deep=True)
    assert len(report.faults) == len(videos), _messages(report)
    for fault in report.faults:
        assert "there is no such folder of frames; rebuild the index with" in str(fault)
        assert ".." not in str(fault).split(":")[0]


def _rewrite(path: Path, rows: list[dict], spec) -> None:
    import pyarrow as pa

    write_table(path, pa.Table.from_pylist(rows, schema=spec.schema), spec)


def test_deep_compares_every_mask_with_its_area_and_its_video(index: Path) -> None:
    assert _check(index, deep=True).faults == ()
    masks = read_table(index / "masks.parquet", MASKS).to_pylist()
    assert [(row["anno_id"], row["frame"]) for row in masks[:3]] == [("7", 0), ("7", 1), ("7", 2)]
    masks[0]["area"] += 1
    masks[1]["counts"] = masks[1]["counts"][:-1]
    other = np.ones((16, 12), np.uint8, order="F")
    masks[2] |= {"height": 16, "width": 12, "counts": coco.encode(other)["counts"], "area": 192}
    masks.append(masks[-1] | {"anno_id": "unreferenced", "area": 0})
    _rewrite(index / "masks.parquet", masks, MASKS)
    faults = [str(fault) for fault in _check(index, deep=True).faults if fault.part == "masks"]
    track = f"{index / 'masks.parquet'}, video a, anno id 7"
    assert faults == [
        f"{track}, frame 0: has {masks[0]['area'] - 1} pixels, its area says {masks[0]['area']}",
        f"{track}, frame 1: the RLE is cut off",
        f"{track}, frame 2: is 12x16, its video 16x12",
        f"{index / 'masks.parquet'}, anno id unreferenced, frame 2: has 16 pixels, its area says 0",
    ]
    assert "its area says" not in _messages(_check(index))


def test_deep_finds_rows_out_of_order_and_lost_tracks(index: Path) -> None:
    masks = read_table(index / "masks.parquet", MASKS).to_pylist()
    masks[0], masks[1] = masks[1], masks[0]
    kept = [row for row in masks if row["anno_id"] != "9"]
    _rewrite(index / "masks.parquet", kept, MASKS)
    found = _messages(_check(index, deep=True))
    path = index / "masks.parquet"
    row = f"{path}, video a, anno id 7, frame 0"
    assert f"{row}: the row is not sorted by anno id and frame" in found
    assert f"{path}, video b, anno id 9: a referent has no mask in any frame" in found


def test_deep_reports_its_progress(index: Path) -> None:
    """Each mask and each frame counts once."""
    bars: dict[str, list[int]] = {}

    class Counting(SilentProgress):
        @contextmanager
        def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
            bars[name] = [total or 0, 0]
            bar = SilentTask()
            bar.advance = lambda n=1, **_: bars[name].__setitem__(1, bars[name][1] + n)  # type: ignore[method-assign]
            yield bar

    check(index, CheckConfig(deep=True), runtime=Runtime(workers=1), progress=Counting())
    assert bars == {"masks": [11, 11], "digests": [9, 9], "frames": [9, 9]}


def test_a_truncated_table_does_not_hide_the_others(index: Path) -> None:
    path = index / "expressions.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    (index / "masks.parquet").write_bytes(b"")
    report = _check(index)
    assert {"sentences", "masks", "receipt"} <= set(report.by_part)


def test_texts_and_single_tables(run_stage: Callable, index: Path, tmp_path: Path) -> None:
    run_stage(TEXT, TextConfig(dim=8), TextInputs(index), tmp_path / "text")
    assert _check(tmp_path / "text").faults == ()
    assert _check(tmp_path / "text").kind == "texts"
    table = tmp_path / "text" / "texts.parquet"
    assert _check(table).counts == {"rows of texts": 3}
    rows = pq.read_table(table)
    pq.write_table(rows.slice(1).set_column(4, "dim", rows.slice(1)["dim"]), table)
    assert "receipt" in _check(tmp_path / "text").by_part
    pq.write_table(rows.replace_schema_metadata({"tgl.table": "texts", "tgl.version": "9"}), table)
    assert "version 9" in _messages(_check(table))
    pq.write_table(rows.replace_schema_metadata({}), table)
    assert "names no table" in _messages(_check(table))


def test_frames(run_stage: Callable, tmp_path: Path) -> None:
    from stages.extract_frames.config import ExtractConfig, ExtractInputs
    from stages.extract_frames.stage import STAGE as EXTRACT
    from stages.tools.toy.config import ToyConfig, ToyInputs
    from stages.tools.toy.stage import STAGE as TOY

    toy = ToyConfig(size=32, frames=16, train_clips=0, valid_clips=1, dev_clips=0)
    run_stage(TOY, toy, ToyInputs(), tmp_path / "toy")
    assert _check(tmp_path / "toy" / "valid").faults == ()
    videos = tuple((tmp_path / "toy" / "valid" / "videos").glob("*.mp4"))
    run_stage(EXTRACT, ExtractConfig(), ExtractInputs(videos), tmp_path / "frames")
    assert _check(tmp_path / "frames").faults == ()
    folder = next((tmp_path / "frames" / "JPEGImages").iterdir())
    (folder / "00003.jpg").unlink()
    shutil.copy(folder / "00001.jpg", folder / "00002.jpg")
    report = _check(tmp_path / "frames")
    assert report.by_part == {"receipt": 1, "frames": 2}


def test_images_alone_are_known_by_their_receipt(
    run_stage: Callable, index: Path, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    run_stage(REFERENCES, ReferencesConfig(), ReferencesInputs(index), masks)
    report = _check(masks)
    images = sorted(masks.rglob("*.png"))
    assert (report.kind, report.faults) == ("artifact", ())
    assert report.counts == {"files": len(images)}
    images[0].unlink()
    assert "files were lost or changed" in _messages(_check(masks))
    shutil.copy(index / "moments.parquet", masks)
    assert _check(masks).counts["rows of moments"] > 0


def test_what_is_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nothing to check"):
        _check(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInput, match="no data set of a known layout"):
        _check(tmp_path / "empty")
    (tmp_path / "x.zip").touch()
    assert "is not a complete zip" in _messages(_check(tmp_path / "x.zip"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    with pytest.raises(CorruptInput, match=r"x\.zip: is a pipe"):
        _check(tmp_path / "x.zip")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "checkpoint" / "model.safetensors")
    findings = Findings()
    check_checkpoint(tmp_path / "checkpoint", findings)
    assert "model.safetensors: is a pipe" in str(findings.faults[0])
