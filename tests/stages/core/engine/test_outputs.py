"""What an output may replace: inputs never, another's files by force alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import DiskFull, OutputBlocked, disk_full
from stages.core.engine import outputs
from stages.core.engine.outputs import output_files, output_folder, refuse_inputs, replaceable


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of the user's with a file and a folder in it."""
    folder = tmp_path / "home" / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "clip.mp4").write_text("precious")
    return folder


def write(target: Path, text: str, *inputs: Path, force: bool = False) -> None:
    with output_files(inputs, force=force) as files:
        files.add(target).write_text(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is an input of this command"),
        ("inner", "lies inside the input"),
        ("new/er", "lies inside the input"),
        ("..", "contains the input"),
        ("../../home", "contains the input"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_inputs_are_never_an_output(
    data: Path, tmp_path: Path, name: str, message: str, linked: bool
) -> None:
    out = data / name
    if linked:
        link = tmp_path / "link"
        link.symlink_to(data)
        out = link.resolve() / name if name.startswith("..") else link / name
    with pytest.raises(OutputBlocked, match=message):
        refuse_inputs(out, [data])


def test_an_input_that_is_missing_counts_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(OutputBlocked, match="lies inside the input"):
        refuse_inputs(tmp_path / "later" / "report.html", [tmp_path / "later"])


def test_a_hard_link_of_an_input_is_the_input(data: Path, tmp_path: Path) -> None:
    os.link(data / "clip.mp4", tmp_path / "other.mp4")
    with pytest.raises(OutputBlocked, match="is an input"):
        refuse_inputs(tmp_path / "other.mp4", [data / "clip.mp4"])


def test_force_does_not_remove_the_folder_that_one_works_in(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "inner")
    with pytest.raises(OutputBlocked, match="is or contains the folder"):
        replaceable(data, "propagate", force=True)
    assert replaceable(data / "inner", "propagate", force=False) is None


@pytest.mark.parametrize("name", ["clip.mp4", "boxes.JSON"])
def test_a_new_folder_is_not_named_like_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputBlocked, match="and the output is a folder"):
        replaceable(tmp_path / name, "render", force=False)
    assert replaceable(tmp_path / name, "render", force=True) is None
    assert replaceable(tmp_path / "run.v2", "render", force=False) is None
    (tmp_path / name).mkdir()
    assert replaceable(tmp_path / name, "render", force=False) is None


@pytest.fixture(params=["attribute", "note"])
def marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to keep the sum of a file that tgl wrote."""
    if request.param == "note":

        def unsupported(*_: object) -> None:
            raise OSError(95, "not supported")

        monkeypatch.setattr(outputs.os, "setxattr", unsupported)
        monkeypatch.setattr(outputs.os, "getxattr", unsupported)
    return str(request.param)


def test_a_file_of_tgl_is_replaced_until_it_is_edited(marked: str, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    write(path, "1")
    write(path, "2")
    assert path.read_text() == "2"
    path.write_text("edited")
    with pytest.raises(OutputBlocked, match=r"found\.json: exists and was changed since tgl"):
        write(path, "3")
    assert path.read_text() == "edited"
    write(path, "3", force=True)
    write(path, "4")
    assert path.read_text() == "4"
    notes = {".found.json.tgl"} if marked == "note" else set()
    assert {entry.name for entry in tmp_path.iterdir()} == {"found.json"} | notes


def test_a_foreign_file_is_replaced_by_force_alone(data: Path) -> None:
    with pytest.raises(OutputBlocked, match=r"was not written by tgl; .*--force"):
        write(data / "clip.mp4", "x")
    assert (data / "clip.mp4").read_text() == "precious"
    with pytest.raises(OutputBlocked, match="is a folder"):
        write(data / "inner", "x", force=True)


def test_a_pipe_is_no_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputBlocked, match="is not a regular file"):
        write(tmp_path / "pipe", "x", force=True)


def test_a_link_is_written_through(data: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(data / "inner" / "real.json")
    write(link, "1")
    assert link.is_symlink()
    assert (data / "inner" / "real.json").read_text() == "1"


def test_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "new" / "b.json"
    write(first, "old")

    def fail() -> None:
        with output_files([], force=False) as files:
            files.add(first).write_text("new")
            files.add(second).write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert first.read_text() == "old"
    assert not list((tmp_path / "new").iterdir())
    with output_files([], force=False) as files:
        files.add(first)  # and not written
        files.add(second).write_text("new")
    assert (first.read_text(), second.read_text()) == ("old", "new")


def test_a_file_that_appears_during_the_work_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def race() -> None:
        with output_files([], force=False) as files:
            files.add(path).write_text("ours")
            path.write_text("theirs")

    with pytest.raises(OutputBlocked, match="was not written by tgl"):
        race()
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("kind", ["files", "folder"])
def test_two_runs_do_not_write_one_output(tmp_path: Path, kind: str) -> None:
    def hold(second: Callable[[], None] | None) -> None:
        if kind == "files":
            with output_files([], force=False) as files:
                files.add(tmp_path / "x")
                if second is not None:
                    second()
        else:
            with output_folder(tmp_path / "x", "propagate", inputs=[], force=False):
                if second is not None:
                    second()

    with pytest.raises(OutputBlocked, match="another tgl run is writing this"):
        hold(lambda: hold(None))
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "masks"

    def fail() -> None:
        with output_folder(out, "propagate", inputs=[], force=False) as folder:
            (folder / "0.png").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(tmp_path.iterdir())
    with output_folder(out, "propagate", inputs=[], force=False) as folder:
        (folder / "0.png").write_text("whole")
    assert (out / "0.png").read_text() == "whole"
    with pytest.raises(OutputBlocked, match="contains files that tgl did not write"):
        fail()


@pytest.mark.parametrize("kind", ["files", "folder"])
def test_an_error_names_no_temporary_file(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "x"

    def fail(error: Callable[[Path], Exception]) -> None:
        if kind == "files":
            with output_files([], force=False) as files:
                raise error(files.add(out))
        with output_folder(out, "propagate", inputs=[], force=False) as folder:
            raise error(folder / "0.png")

    with pytest.raises(DiskFull) as caught:
        fail(disk_full)
    assert caught.value.path == out
    with pytest.raises(PermissionError) as refused:
        fail(lambda path: PermissionError(errno.EACCES, "not allowed", str(path)))
    assert refused.value.filename == str(out)
    with pytest.raises(DiskFull) as caught:
        fail(lambda _: disk_full(tmp_path / "other"))
    assert caught.value.path == tmp_path / "other"
