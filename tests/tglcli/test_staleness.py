"""No stage takes yesterday's result for today's inputs: every input of every stage, replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_world import OUTPUTS, TinyWorld, write_video

from schemas.errors import CorruptInput


def in_place(path: Path) -> None:
    """Flip a bit: the size stays."""
    data = bytearray(path.read_bytes())
    data[_PLACE] ^= 1
    path.write_bytes(data)


def as_if_never_touched(path: Path) -> None:
    """Another file of the same size and time."""
    before = path.stat()
    fresh = path.with_name(f"{path.name}.fresh")
    shutil.copyfile(path, fresh)
    in_place(fresh)
    fresh.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


_PLACE = 40
"""Of the byte that changes; in a table it holds rows, not what the footer says of them."""
WAYS = (in_place, as_if_never_touched)
INPUTS = {
    "extract-frames": ["videos/a.mp4", "videos/b.mp4"],
    "build-moments": [
        "dataset/train/meta_expressions.json",
        "dataset/train/mask_dict.json",
        "dataset/train/moments.json",
        "frames/frames.parquet",
    ],
    "precompute-text": ["index/expressions.parquet"],
    "train": [
        "index/masks.parquet",
        "index/moments.parquet",
        "text/texts.parquet",
        "backbone/model.safetensors",
        "frames/JPEGImages/b/00001.jpg",
    ],
    "propagate": [
        "index/videos.parquet",
        "text/texts.parquet",
        "model/model.safetensors",
        "model/config.json",
        "frames/JPEGImages/b/00001.jpg",
    ],
    "score": ["preds/a/0/00001.png", "index/masks.parquet"],
    "select-moments": [
        "index/expressions.parquet",
        "selector/model.safetensors",
        "frames/JPEGImages/b/00001.jpg",
    ],
    "track": [
        "index/videos.parquet",
        "candidates/candidates.parquet",
        "tracker/model.safetensors",
        "frames/JPEGImages/b/00001.jpg",
    ],
    "ground": [
        "index/expressions.parquet",
        "detector/model.safetensors",
        "frames/JPEGImages/b/00001.jpg",
    ],
    "references": ["index/masks.parquet"],
    "render": ["preds/a/0/00001.png", "index/moments.parquet", "frames/JPEGImages/b/00001.jpg"],
}


@pytest.fixture(scope="module")
def world(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """A world whose files are changed and put back."""
    return tiny_world.copy(tmp_path_factory.mktemp("stale") / "world")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage, names in INPUTS.items() for name in names]
)
def test_a_changed_file_changes_the_digests(
    world: TinyWorld, tmp_path: Path, stage: str, name: str, way: Callable[[Path], None]
) -> None:
    """The digests decide whether a stage runs; without a change they stay as they were."""
    if way is as_if_never_touched and name.startswith("frames/JPEGImages"):
        pytest.skip("frames count by the SHA-256 in frames.parquet while size and time fit it")
    path = world.root / name
    kept = tmp_path / "kept"
    shutil.copy2(path, kept)
    before = world.job(stage).inputs.digests()
    assert world.job(stage).inputs.digests() == before
    os.link(path, tmp_path / "original")
    try:
        path.unlink()
        shutil.copy2(kept, path)
        way(path)
        assert _digests(world, stage) != before
    finally:
        (tmp_path / "original").replace(path)
    assert world.job(stage).inputs.digests() == before


def _digests(world: TinyWorld, stage: str) -> dict[str, str]:
    """The digests; none of an input whose damage is noticed at once."""
    try:
        return world.job(stage).inputs.digests()
    except CorruptInput:
        return {}


def test_another_video_reaches_every_result(tiny_world: TinyWorld, tmp_path: Path) -> None:
    """Sentences and true masks do not change with it, all else is recomputed; then all is kept."""
    world = tiny_world.copy(tmp_path / "world")
    write_video(world.video("b"), 3, seed=7)
    worked = [stage for stage, folder in OUTPUTS.items() if not _skips(world, stage, folder)]
    unmoved = {"toy", "precompute-text", "references", "assemble"}
    assert worked == [stage for stage in OUTPUTS if stage not in unmoved]
    assert all(_skips(world, stage, folder) for stage, folder in OUTPUTS.items())


def _skips(world: TinyWorld, stage: str, folder: str) -> bool:
    return world.job(stage).execute(world.root / folder).skipped
