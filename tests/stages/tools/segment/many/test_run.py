"""Failures of single videos, told in the user's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.render.config import RenderConfig
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.frame_source import FrameSource
from stages.tools.segment.many.request import ManyRequest
from stages.tools.segment.many.run import _Videos
from stages.tools.segment.many.sentences import VideoSentences
from stages.tools.segment.many.sources import GivenVideo
from stages.tools.segment.pipeline import VideosFailed
from stages.tools.segment.run import SegmentRun


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with links to the user's frames of b."""
    frames = tmp_path / "work" / "dataset" / "JPEGImages" / "b"
    frames.mkdir(parents=True)
    (frames / "f1.jpg").symlink_to(tmp_path / "b" / "f1.jpg")
    return tmp_path / "work"


@pytest.fixture
def videos(tmp_path: Path) -> _Videos:
    """a.mp4, the folder b and b.1.mkv."""
    given = [
        GivenVideo(path, FrameSource(name, None if name == "b" else path, ()))
        for name, path in (
            ("a", tmp_path / "a.mp4"),
            ("b", tmp_path / "b"),
            ("b.1", tmp_path / "b.1.mkv"),
        )
    ]
    asked = tuple(VideoSentences(video, ("a cube",)) for video in given)
    out = tmp_path / "out"
    request = ManyRequest(given[0].path, (), out, RenderConfig(), "model", videos=asked)
    run = SegmentRun(request, SegmentConfig(), Runtime(workers=1), SilentProgress())
    return _Videos(run, request)


@pytest.mark.parametrize(
    ("line", "failed", "said"),
    [
        ("{work}/source/a.mp4: cannot be decoded", "a", "{here}/a.mp4: cannot be decoded"),
        (
            "{work}/source/b.1.mkv: broke off; its frames of the earlier run are kept",
            "b.1",
            "{here}/b.1.mkv: broke off",
        ),
        ("video b: {work}/dataset/JPEGImages/b/f1.jpg: gone", "b", "{here}/b: f1.jpg: gone"),
        ("video b.1: {work}/frames/JPEGImages/b.1/2.jpg: gone", "b.1", "{here}/b.1.mkv: gone"),
        ("{here}/masks/a/0/00001.png: is no mask", "a", "{here}/a.mp4: {here}/masks/a/0/00001.png"),
        ("video a: a worker died", "a", "{here}/a.mp4: a worker died"),
    ],
)
def test_a_stages_line_is_told_of_the_users_file(
    videos: _Videos, work: Path, tmp_path: Path, line: str, failed: str, said: str
) -> None:
    places = {"work": work, "here": tmp_path}
    videos.drop_failed(VideosFailed({failed: line.format(**places)}), work)
    assert {one.video.video_id for one in videos.left} == {"a", "b", "b.1"} - {failed}
    assert videos.failures[0].startswith(said.format(**places))
    assert videos.run.progress.warnings == [f"{videos.failures[0]}; the others go on"]


def test_an_error_in_the_work_folder_is_of_its_video(videos: _Videos, tmp_path: Path) -> None:
    request = videos.request
    assert request.owner(Path("source/a.mp4")) == tmp_path / "a.mp4"
    assert request.owner(Path("frames/JPEGImages/b.1/00001.jpg")) == tmp_path / "b.1.mkv"
    assert request.owner(Path("index/videos.parquet")) is None
    assert request.as_named(tmp_path.resolve() / "b") == tmp_path / "b"
    assert request.work_path == tmp_path / ".out.segment"
