"""Frames of a bare folder go by the numbers in their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from schemas.errors import UnsafeName
from schemas.layouts import natural_key, orders_differ, video_name
from stages.tools.segment.media import find_media


def test_numbers_go_by_their_value() -> None:
    names = ["f10", "f2", "f1", "g", "f", "f02", "f1b3", "f1b20", "10", "9"]
    found = sorted(names, key=natural_key)
    assert found == ["9", "10", "f", "f1", "f1b3", "f1b20", "f02", "f2", "f10", "g"]
    assert orders_differ(found)
    assert not orders_differ(["00001", "00002", "00010"])


def test_a_folder_of_images_is_in_natural_order_and_says_so(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        Image.new("RGB", (4, 4)).save(tmp_path / f"f{number}.png")
    media = find_media(tmp_path)
    assert [path.stem for path in media.pictures] == ["f1", "f2", "f10"]
    assert media.warnings == (
        "frames are ordered by the numbers in their names, f1.png to f10.png, not as text",
    )
    (tmp_path / "f10.png").unlink()
    assert find_media(tmp_path).warnings == ()


@pytest.mark.parametrize("name", ["receipt.json", "MASKS.parquet", "jpegimages"])
def test_names_of_outputs_are_no_names_of_videos(name: str) -> None:
    with pytest.raises(UnsafeName, match="rename the video"):
        video_name(name, where="here")
    assert video_name(f"{name}1", where="here") == f"{name}1"
