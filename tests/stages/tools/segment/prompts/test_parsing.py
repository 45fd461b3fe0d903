"""Prompts as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from stages.tools.segment.prompts.parsing import parse_box, parse_mask, parse_point
from stages.tools.segment.prompts.records import Box, MaskImage, Point


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("1,2,30,40", Box(1, 2, 30, 40)),
        ("1,2,30,40@7", Box(1, 2, 30, 40, frame=7)),
        ("dog:1.5,2, 30,40@7", Box(1.5, 2, 30, 40, frame=7, name="dog")),
        ("a: b:1,2,30,40", Box(1, 2, 30, 40, name="a: b")),
    ],
)
def test_a_box(text: str, box: Box) -> None:
    assert parse_box(text) == box
    assert parse_box(str(box).removeprefix("--box ")) == box


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,nan,4", "1,2,inf,4", "1,2,3,4@x", "@3", "@"]
)
def test_no_box(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--box: .* is not \[NAME:\]x0,y0,x1,y1\[@FRAME\]"):
        parse_box(text)


@pytest.mark.parametrize("text", ["30,2,1,40", "1,2,1,40", "dog:1,40,30,2@5"])
def test_a_box_without_area(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--box .*: has no area; give its left, top"):
        parse_box(text)


def test_a_point() -> None:
    assert parse_point("3,4.5@2", inside=True) == Point(3, 4.5, frame=2)
    assert parse_point("dog:3,4", inside=False) == Point(3, 4, name="dog", inside=False)
    with pytest.raises(ConfigError, match=r"--not-point: '3' is not \[NAME:\]x,y\[@FRAME\]"):
        parse_point("3", inside=False)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match="the name before the colon is empty or longer than 100"):
        parse_point(f"{name}:3,4", inside=True)


def test_a_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_mask("first.png") == MaskImage(Path("first.png"))
    assert parse_mask("dog:a/first.png@12") == MaskImage(Path("a/first.png"), 12, "dog")
    assert parse_mask(r"C:\first.png@1") == MaskImage(Path(r"C:\first.png"), 1)
    assert parse_mask(r"dog:C:\first.png") == MaskImage(Path(r"C:\first.png"), 0, "dog")
    assert parse_mask("at@home.png") == MaskImage(Path("at@home.png"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12:30.png").touch()
    assert parse_mask("12:30.png") == MaskImage(Path("12:30.png"))
    with pytest.raises(ConfigError, match=r"--mask: 'dog:@4' is not \[NAME:\]FILE\[@FRAME\]"):
        parse_mask("dog:@4")
