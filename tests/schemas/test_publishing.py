"""Publishing a folder: one exchange where the system has it, else two renames; single files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from schemas import directories
from schemas.directories import exchange, has_leftovers, publish, recover, write_bytes_atomic

PUBLICATIONS = 200


@pytest.fixture(params=["exchange", "renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "renames":
        monkeypatch.setattr(directories, "_renameat2", lambda: None)
    return str(request.param)


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a").write_text(text)
    return path


@pytest.mark.usefixtures("way")
def test_a_new_folder_takes_the_place_of_the_former(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(folder(tmp_path / "first", "1"), out)
    publish(folder(tmp_path / "second", "2"), out)
    assert (out / "a").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not has_leftovers(out)


def test_an_exchange_needs_both_folders(tmp_path: Path) -> None:
    if not exchange(folder(tmp_path / "a", "1"), folder(tmp_path / "b", "2")):
        pytest.skip("this system or file system has no exchange of two paths")
    assert [(tmp_path / name / "a").read_text() for name in "ab"] == ["2", "1"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "none")


def test_a_reader_always_finds_one_of_them(tmp_path: Path) -> None:
    out = folder(tmp_path / "out", "0")
    if directories._renameat2() is None:
        pytest.skip("this system has no exchange of two paths")
    writer = os.fork()
    if writer == 0:
        try:
            for number in range(PUBLICATIONS):
                publish(folder(tmp_path / "next", str(number)), out)
        finally:
            os._exit(0)
    missing = 0
    while os.waitpid(writer, os.WNOHANG) == (0, 0):
        missing += not out.exists()
    assert missing == 0
    assert (out / "a").read_text() == str(PUBLICATIONS - 1)


def test_a_former_artifact_that_is_half_removed_is_not_put_back(tmp_path: Path) -> None:
    folder(tmp_path / ".out.discarded", "half")
    recover(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_retired_artifact_is_put_back(tmp_path: Path) -> None:
    folder(tmp_path / ".out.retired", "1")
    recover(tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "1"
    folder(tmp_path / ".out.retired", "0")
    recover(tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_bytes_atomic(tmp_path / "receipt.json", b"{}")
    assert raised.value.filename == str(tmp_path / "receipt.json")
