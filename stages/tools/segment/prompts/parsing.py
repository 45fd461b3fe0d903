"""Prompts as they are typed: `[NAME:]x0,y0,x1,y1[@FRAME]` and the like."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import ConfigError
from stages.tools.segment.prompts.records import Box, MaskImage, Point

_FRAME = re.compile(r"(.*)@(\d{1,9})", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
"""The beginning of a path on Windows, which is no name."""
_LONGEST_NAME = 100


def parse_box(text: str) -> Box:
    """Read `[NAME:]x0,y0,x1,y1[@FRAME]`.

    Raises:
        ConfigError: it is something else, or a box without area.
    """
    name, numbers, frame = _numbers(text, 4, "--box", "[NAME:]x0,y0,x1,y1[@FRAME]")
    x0, y0, x1, y1 = numbers
    box = Box(x0, y0, x1, y1, frame=frame, name=name)
    if not (x0 < x1 and y0 < y1):
        raise ConfigError(
            "has no area",
            where=box,
            hint="give its left, top, right and bottom edge: x0 < x1 and y0 < y1",
        )
    return box


def parse_point(text: str, *, inside: bool) -> Point:
    """Read `[NAME:]x,y[@FRAME]`.

    Raises:
        ConfigError: it is something else.
    """
    option = "--point" if inside else "--not-point"
    name, (x, y), frame = _numbers(text, 2, option, "[NAME:]x,y[@FRAME]")
    return Point(x, y, frame=frame, name=name, inside=inside)


def parse_mask(text: str) -> MaskImage:
    """Read `[NAME:]FILE[@FRAME]`; the file is not opened.

    Raises:
        ConfigError: no file is named.
    """
    rest, frame = _frame(text)
    name, file = None, rest
    if ":" in rest and not _DRIVE.match(rest) and not Path(rest).exists():
        name, _, file = rest.partition(":")
    _check_name(name, f"--mask {text}")
    if not file:
        raise ConfigError(f"{text!r} is not [NAME:]FILE[@FRAME]", where="--mask")
    return MaskImage(Path(file).expanduser(), frame=frame, name=name)


def _numbers(
    text: str, count: int, option: str, form: str
) -> tuple[str | None, Sequence[float], int]:
    """Name, numbers and frame of a prompt."""
    rest, frame = _frame(text)
    name, typed = _name(rest)
    try:
        numbers = [float(number) for number in typed.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{text!r} is not {form}, in pixels", where=option)
    _check_name(name, f"{option} {text}")
    return name, numbers, frame


def _frame(text: str) -> tuple[str, int]:
    """What stands before `@FRAME`, and the frame."""
    found = _FRAME.fullmatch(text)
    return (found[1], int(found[2])) if found else (text, 0)


def _name(text: str) -> tuple[str | None, str]:
    """What stands before the last colon, if there is one, and what behind it."""
    name, colon, rest = text.rpartition(":")
    return (name, rest) if colon else (None, text)


def _check_name(name: str | None, where: str) -> None:
    if name is not None and not (name.strip() and len(name) <= _LONGEST_NAME):
        raise ConfigError(
            f"the name before the colon is empty or longer than {_LONGEST_NAME} characters",
            where=where,
        )
