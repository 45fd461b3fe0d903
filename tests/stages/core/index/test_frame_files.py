"""The frames that an index points to: their digest, and frames that were changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import CorruptInput
from schemas.layouts import FRAMES_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import FRAMES
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.frame_files import frame_folders, index_digest, require_unchanged
from stages.core.index.index import Index
from stages.core.media.ffmpeg import write_h264
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE as EXTRACT
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig


@pytest.fixture
def index(mevis, tmp_path: Path, run_stage: Callable) -> Path:
    """An index of the miniature's own frames."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def extracted(mevis, tmp_path: Path, run_stage: Callable) -> Path:
    """An index of frames of extract-frames, from videos of one's own."""
    import numpy as np

    split = mevis.write(frames=False)
    videos = []
    for name, frames in (("a", 6), ("b", 3)):
        videos.append(tmp_path / f"{name}.mp4")
        shots = (np.full((12, 16, 3), 20 * n, np.uint8) for n in range(frames))
        write_h264(videos[-1], shots, (12, 16), 6, 20)
    run_stage(EXTRACT, ExtractConfig(), ExtractInputs(tuple(videos)), tmp_path / "frames")
    inputs = IndexInputs(split, frames=tmp_path / "frames")
    run_stage(BUILD, IndexConfig(), inputs, tmp_path / "index")
    return tmp_path / "index"


def first_frame(index: Path) -> Path:
    return Index.open(index).videos["a"].frame_path(0)


def edited(path: Path) -> None:
    """Other bytes of the same length, in place."""
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


def replaced(path: Path) -> None:
    """Other bytes of the same length and the same time, as another file."""
    status = path.stat()
    other = path.with_name("other")
    shutil.copy2(path, other)
    edited(other)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [edited, replaced])
def test_a_changed_frame_changes_the_digest(index: Path, change: Callable) -> None:
    before = index_digest(index)
    assert index_digest(index) == before
    change(first_frame(index))
    assert index_digest(index) != before
    first_frame(index).unlink()
    assert index_digest(index) != before


def test_extracted_frames_count_by_their_content(extracted: Path, tmp_path: Path) -> None:
    before = index_digest(extracted)
    shutil.copytree(tmp_path / "frames", tmp_path / "copy", copy_function=shutil.copy2)
    shutil.rmtree(tmp_path / "frames")
    (tmp_path / "copy").rename(tmp_path / "frames")
    assert index_digest(extracted) == before
    edited(first_frame(extracted))
    assert index_digest(extracted) != before


def test_other_time_stamps_change_the_digest(extracted: Path, tmp_path: Path) -> None:
    before = index_digest(extracted)
    path = tmp_path / "frames" / FRAMES_TABLE
    rows = read_table(path, FRAMES).to_pylist()
    write_table(path, rows_of(rows, FRAMES), FRAMES)
    assert index_digest(extracted) == before
    rows[1]["pts_seconds"] += 0.01
    write_table(path, rows_of(rows, FRAMES), FRAMES)
    assert index_digest(extracted) != before


def test_a_changed_frame_is_told_from_one_that_was_copied(extracted: Path) -> None:
    video = Index.open(extracted).videos["a"]
    require_unchanged(video)
    path = video.frame_path(0)
    path.write_bytes(path.read_bytes())  # a copy without times: later than the table, the same
    require_unchanged(video)
    edited(path)
    with pytest.raises(CorruptInput, match=r"00000.jpg: was changed since tgl extract-frames"):
        require_unchanged(video)


def test_a_deep_check_compares_the_frames_of_an_index(extracted: Path) -> None:
    def faults(**config: bool) -> list[str]:
        runtime, progress = Runtime(workers=1), SilentProgress()
        report = check(extracted, CheckConfig(**config), runtime=runtime, progress=progress)
        return [str(fault) for fault in report.faults]

    path = first_frame(extracted)
    status = path.stat()
    edited(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert faults(images=False) == []
    assert faults(images=False, deep=True) == [
        f"{path}: was changed since tgl extract-frames wrote it"
    ]


def test_the_folders_of_an_index_are_its_inputs(extracted: Path, tmp_path: Path) -> None:
    root = tmp_path / "frames"
    found = {Path(os.path.realpath(path)) for path in frame_folders(extracted)}
    assert found == {root, root / "JPEGImages" / "a", root / "JPEGImages" / "b"}
