"""The JSON interchange form, tgl-moments, version 1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError
from stages.core.datasets.documents.moments_json import (
    ALL_REFERENTS,
    FORMAT,
    VERSION,
    read_moments_json,
)
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import MomentContext, by_video
from stages.core.moment_formats.formats import WholeFormat


def read_tgl(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a tgl-moments file; see :mod:`stages.core.datasets.documents.moments_json`."""
    return read_moments_json(path)


def write_tgl(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write spans by video, expression and referent; a referent without spans is never meant.

    The format has no sources and scores.

    Raises:
        ConfigError: a referent is called ALL.
    """
    videos: dict[str, Any] = {}
    for video_id, moments in by_video(rows).items():
        expressions: dict[str, Any] = {}
        for row in moments:
            if row.anno_id == ALL_REFERENTS:
                raise ConfigError(f"an anno id {ALL_REFERENTS} cannot be told from all", where=path)
            spans = expressions.setdefault(row.expression_id, {"moments": {}})["moments"]
            own = spans.setdefault(row.anno_id or ALL_REFERENTS, [])
            if not row.is_never:
                own.append(list(row.span))
        videos[video_id] = {"fps": context.videos[video_id].fps, "expressions": expressions}
    document = {"format": FORMAT, "version": VERSION, "frame_unit": "index", "videos": videos}
    write_text_atomic(path, json.dumps(document, ensure_ascii=False) + "\n")


TGL = WholeFormat(".json", read_tgl, write_tgl, says_never=True)
