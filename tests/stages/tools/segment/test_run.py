"""Errors in the work folder of a run of `tgl segment`."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from schemas.errors import CorruptInput, DiskFull, OutputBlocked, disk_full
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.render.config import RenderConfig
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.request import SegmentRequest
from stages.tools.segment.run import WORK_MARK, SegmentRun


class OwnCode(CorruptInput):
    """An error with an exit code of its own and more than a message."""

    exit_code = 77

    def __init__(self, frame: int, *, where: Path):
        super().__init__(f"frame {frame} is damaged", where=where, hint="copy it again")
        self.frame = frame


def run_in(work: Path | None, source: Path) -> SegmentRun:
    out = source.with_name("o.mp4")
    request = SegmentRequest(source, ("a cube",), out, RenderConfig(), "model", work=work)
    return SegmentRun(request, SegmentConfig(), Runtime(workers=1), SilentProgress())


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


@pytest.mark.parametrize("named", [True, False])
def test_what_cannot_be_written_is_named_as_the_user_knows_it(tmp_path: Path, named: bool) -> None:
    run = run_in(tmp_path / "work" if named else None, tmp_path / "clip.mp4")
    place = run.request.work_path / "index"
    with pytest.raises(DiskFull) as caught, run.pipeline():
        raise disk_full(place)
    assert caught.value.path == (place if named else run.request.out)
    with pytest.raises(DiskFull) as caught, run.pipeline():
        raise OSError(errno.ENOSPC, "as a write raises it")
    assert caught.value.where == str(run.request.work_path if named else run.request.out)


@pytest.mark.parametrize("named", [True, False])
def test_a_work_folder_that_was_just_begun_is_taken_again(tmp_path: Path, named: bool) -> None:
    run = run_in(tmp_path / "work" if named else None, tmp_path / "clip.mp4")
    folder = run.request.work_path
    folder.mkdir()
    (folder / f".{WORK_MARK}.partial").write_text("{")
    with run.pipeline():
        assert [path.name for path in folder.iterdir()] == [WORK_MARK]
    assert folder.exists() == named


def test_no_other_folder_is_taken_for_work(tmp_path: Path) -> None:
    run = run_in(tmp_path / "work", tmp_path / "clip.mp4")
    (tmp_path / "work").write_text("precious")
    for check in (lambda: run.check_folders("propagate"), lambda: run.pipeline().__enter__()):
        with pytest.raises(OutputBlocked, match=r"work: is a file, not a folder"):
            check()
