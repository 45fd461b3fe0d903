"""Natural order of names, and names that no video may have."""

from __future__ import annotations

import pytest

from schemas.errors import UnsafeName
from schemas.layouts import natural_key, orders_differ, video_name


def test_numbers_go_by_their_value() -> None:
    names = ["f10", "f2", "f1", "g", "f", "f02", "f1b3", "f1b20", "10", "9"]
    found = sorted(names, key=natural_key)
    assert found == ["9", "10", "f", "f1", "f1b3", "f1b20", "f02", "f2", "f10", "g"]
    assert orders_differ(found)
    assert not orders_differ(["00001", "00002", "00010"])


@pytest.mark.parametrize("name", ["receipt.json", "MASKS.parquet", "jpegimages"])
def test_names_of_outputs_are_no_names_of_videos(name: str) -> None:
    with pytest.raises(UnsafeName, match="rename the video"):
        video_name(name, where="here")
    assert video_name(f"{name}1", where="here") == f"{name}1"
