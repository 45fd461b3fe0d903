"""Errors in the work folder of a run of `tgl segment`."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import CorruptInput
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.propagate.config import PropagateConfig
from stages.tools.render.config import RenderConfig
from stages.tools.segment.request import SegmentRequest
from stages.tools.segment.run import SegmentRun


class OwnCode(CorruptInput):
    """An error with an exit code of its own and more than a message."""

    exit_code = 77

    def __init__(self, frame: int, *, where: Path):
        super().__init__(f"frame {frame} is damaged", where=where, hint="copy it again")
        self.frame = frame


def run_in(work: Path, source: Path) -> SegmentRun:
    request = SegmentRequest(
        source, ("a cube",), Path("o.mp4"), RenderConfig(), Path("model"), work=work
    )
    return SegmentRun(request, PropagateConfig(), Runtime(workers=1), SilentProgress())


def test_an_error_inside_names_the_users_file_and_is_otherwise_the_same(tmp_path: Path) -> None:
    source, work = tmp_path / "clip.mp4", tmp_path / "work"
    with (
        pytest.raises(OwnCode) as caught,
        run_in(work, source).pipeline(),
    ):
        raise OwnCode(3, where=work / "frames" / "x.jpg")
    error = caught.value
    assert str(error) == f"{source}: frame 3 is damaged; copy it again"
    assert (error.exit_code, error.frame, error.path) == (77, 3, source)


def test_an_error_elsewhere_keeps_its_place(tmp_path: Path) -> None:
    with (
        pytest.raises(OwnCode) as caught,
        run_in(tmp_path / "work", tmp_path / "clip").pipeline(),
    ):
        raise OwnCode(3, where=tmp_path / "other.jpg")
    assert caught.value.path == tmp_path / "other.jpg"
