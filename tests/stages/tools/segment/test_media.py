"""What `tgl segment` takes: only files, and nothing of a folder of pictures is dropped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import TglError
from stages.tools.segment.media import find_media

ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a pipe"),
    "broken link": (lambda path: path.symlink_to("nowhere"), "is a link to nowhere, which is gone"),
    "link loop": (lambda path: path.symlink_to(path.name), "is a link that leads back to itself"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["clip.mp4", "one.png"])
def test_a_source_that_is_no_file(tmp_path: Path, name: str, kind: str) -> None:
    make, message = ODD[kind]
    make(tmp_path / name)
    with pytest.raises(TglError, match=f"{name}: {message}"):
        find_media(tmp_path / name)


@pytest.mark.parametrize("kind", ODD)
def test_a_frame_that_is_no_file_is_not_dropped(tmp_path: Path, kind: str) -> None:
    make, message = ODD[kind]
    (tmp_path / "f1.png").touch()
    make(tmp_path / "f2.png")
    with pytest.raises(TglError, match=rf"f2\.png: {message}"):
        find_media(tmp_path)
