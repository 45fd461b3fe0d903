"""Only regular files are read, and no image of a folder is dropped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from schemas.errors import TglError
from stages.tools.segment.frame_source import find_frame_source

ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a pipe"),
    "broken link": (lambda path: path.symlink_to("nowhere"), "is a link to nowhere, which is gone"),
    "link loop": (lambda path: path.symlink_to(path.name), "is a link that leads back to itself"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["clip.mp4", "one.png"])
def test_a_source_that_is_not_a_file(tmp_path: Path, name: str, kind: str) -> None:
    make, message = ODD[kind]
    make(tmp_path / name)
    with pytest.raises(TglError, match=f"{name}: {message}"):
        find_frame_source(tmp_path / name)


@pytest.mark.parametrize("kind", ODD)
def test_a_frame_that_is_not_a_file_is_not_dropped(tmp_path: Path, kind: str) -> None:
    make, message = ODD[kind]
    (tmp_path / "f1.png").touch()
    make(tmp_path / "f2.png")
    with pytest.raises(TglError, match=rf"f2\.png: {message}"):
        find_frame_source(tmp_path)


def test_a_folder_of_images_is_in_natural_order_and_says_so(tmp_path: Path) -> None:
    for number in (8, 9, 10, 12):
        Image.new("RGB", (4, 4)).save(tmp_path / f"f{number}.png")
    source = find_frame_source(tmp_path)
    assert [path.stem for path in source.images] == ["f8", "f9", "f10", "f12"]
    assert source.warnings == (
        "frames are ordered by the numbers in their names, f8.png to f12.png, not as text",
        "1 gap in the frame numbers, first from f10.png to f12.png; such frames follow each other",
    )
    for number in (10, 12):
        (tmp_path / f"f{number}.png").unlink()
    assert find_frame_source(tmp_path).warnings == ()
