"""Natural order of names, and names that no video may have."""

from __future__ import annotations

import pytest

from schemas.errors import UnsafeName
from schemas.layouts import natural_key, number_gaps, order_warnings, orders_differ, video_name


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


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["f1", "f2", "f3", "f7", "f8", "f11"], [("f3", "f7"), ("f8", "f11")]),
        (["00000", "00005", "00010", "00025"], [("00010", "00025")]),
        (["0", "1", "5"], [("1", "5")]),
        (["0", "4", "5"], [("0", "4")]),
        (["f1", "f2", "f3"], []),
        (["f02", "f2", "f3"], []),
        (["clip2_1", "clip2_2", "clip2_9"], [("clip2_2", "clip2_9")]),
        (["1638", "1671", "1705", "1790"], []),  # time stamps
        (["s1f1", "s1f2", "s2f1"], []),
        (["a", "b", "d"], []),
        (["1"], []),
        ([], []),
    ],
)
def test_gaps_are_where_a_number_is_missing(names: list[str], gaps: list[tuple[str, str]]) -> None:
    assert number_gaps(names) == gaps


def test_warnings_count_the_gaps_and_name_the_first() -> None:
    assert order_warnings(["8.png", "9.png", "10.png", "13.png", "14.png", "20.png"]) == (
        "frames are ordered by the numbers in their names, 8.png to 20.png, not as text",
        "2 gaps in the frame numbers, first from 10.png to 13.png; such frames follow each other",
    )
