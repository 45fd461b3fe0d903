"""`--fix` fixes artifacts of tgl, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from schemas.directories import locked
from schemas.errors import MissingInput, OutputBlocked
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as INDEX
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE as EXTRACT
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Report


def fixed(path: Path, *, fix: bool = True) -> Report:
    return check(path, CheckConfig(), runtime=Runtime(workers=1), progress=SilentProgress(),
                 fix=fix)  # fmt: skip


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def frames(run_stage: Callable, tmp_path: Path) -> Path:
    """Frames of two videos (animated GIFs, which need no encoder)."""
    videos = []
    for name in "ab":
        images = [Image.new("RGB", (16, 12), (n * 60, 9, 9)) for n in range(4)]
        path = tmp_path / "videos" / f"{name}.gif"
        path.parent.mkdir(exist_ok=True)
        images[0].save(path, save_all=True, append_images=images[1:], duration=100)
        videos.append(path)
    run_stage(EXTRACT, ExtractConfig(), ExtractInputs(tuple(videos)), tmp_path / "frames")
    return tmp_path / "frames"


def test_damaged_frames_go_and_come_back(run_stage: Callable, frames: Path, tmp_path: Path) -> None:
    whole = content(frames / "JPEGImages")
    picture = frames / "JPEGImages" / "b" / "00001.jpg"
    picture.write_bytes(bytes(len(picture.read_bytes())))  # of the same size: no run would notice
    assert fixed(frames, fix=False).fixed == ()
    report = fixed(frames)
    assert report.by_part["frames"] == 1
    assert "removed 1 damaged frame;" in report.fixed[0]
    videos = tuple(sorted((tmp_path / "videos").iterdir()))
    outcome = run_stage(EXTRACT, ExtractConfig(), ExtractInputs(videos), frames)
    assert outcome.counts["videos kept from before"] == 1
    assert content(frames / "JPEGImages") == whole
    assert (fixed(frames).faults, fixed(frames).fixed) == ((), ())


def test_what_interrupted_runs_left_is_removed(frames: Path) -> None:
    (frames.parent / ".frames.0123456789abcdef.work" / "JPEGImages").mkdir(parents=True)
    (frames.parent / ".other.0123456789abcdef.work").mkdir()
    (frames / ".frames.parquet.partial").write_bytes(b"half")
    report = fixed(frames)
    assert report.fixed == (
        "removed 1 unfinished run beside it",
        "removed 1 unfinished file",
    )
    names = {path.name for path in frames.parent.iterdir()}
    assert names == {"videos", "frames", ".other.0123456789abcdef.work"}


def test_a_publication_killed_half_way_is_undone(frames: Path) -> None:
    frames.rename(frames.with_name(".frames.retired"))
    with pytest.raises(MissingInput, match="nothing to check"):
        fixed(frames, fix=False)
    report = fixed(frames)
    assert report.fixed == ("put back the artifact that an interrupted run had moved aside",)
    assert report.faults == ()


def test_a_run_at_work_is_left_alone(frames: Path) -> None:
    with locked(frames), pytest.raises(OutputBlocked, match="another tgl run"):
        fixed(frames)


def test_sources_are_never_changed(run_stage: Callable, mevis, tmp_path: Path) -> None:
    split = mevis.write()
    run_stage(INDEX, IndexConfig(), IndexInputs(split), tmp_path / "index")
    (split / "JPEGImages" / "a" / "00001.jpg").write_bytes(b"damaged")
    (split / ".x.partial").write_bytes(b"of somebody else")
    before = content(tmp_path)
    for path in (split, tmp_path / "index", tmp_path / "index" / "masks.parquet"):
        assert fixed(path).fixed == ()
    assert fixed(split).by_part == {"frames": 1}
    assert content(tmp_path) == before


def test_who_made_it_is_said(frames: Path, tmp_path: Path) -> None:
    assert fixed(frames).made_by == "extract-frames 1"
    alone = (frames / "frames.parquet").rename(tmp_path / "alone.parquet")
    assert fixed(alone).made_by == "extract-frames 1"
