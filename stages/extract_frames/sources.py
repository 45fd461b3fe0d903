"""Which videos the user means: files, or folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import MissingInput

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .webm .wmv".split()
)


def find_videos(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files among `paths`, and the videos directly below its folders, sorted.

    Raises:
        MissingInput: a path does not exist, or a folder holds no video.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
            if not inside:
                raise MissingInput("the folder holds no video", where=path)
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise MissingInput("no such video", where=path)
    return tuple(found)
