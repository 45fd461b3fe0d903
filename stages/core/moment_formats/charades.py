"""Charades-STA: `video start end##sentence` in seconds, one span per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError, CorruptInput
from stages.core.datasets.documents.text_files import numbered_lines
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import NO_FILE, MomentContext, without_referents
from stages.core.moment_formats.formats import WholeFormat

_MARK = "##"
_NAME = "Charades-STA"
_FIELDS = 3


def read_charades(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a Charades-STA file; the expression is found by its sentence.

    Raises:
        CorruptInput: a line has another form, or an unknown video or sentence.
        ConfigError: the frame rate is unknown.
    """
    for where, line in numbered_lines(path, missing=NO_FILE):
        head, mark, sentence = line.partition(_MARK)
        fields = head.split()
        if not mark or len(fields) != _FIELDS:
            raise CorruptInput("is not `video start end##sentence`", where=where)
        video_id = context.video(fields[0], where)
        expression = context.sentence(video_id, sentence, where)
        span = context.span(video_id, fields[1], fields[2], where)
        yield MomentRow(video_id, expression.expression_id, None, *span)


def write_charades(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write one line per span.

    Raises:
        ConfigError: single referents, an unknown frame rate, a blank in the name of a video, or two
            sentences of a video that read the same.
    """
    lines = [_line(row, context, path) for row in without_referents(rows, _NAME)]
    write_text_atomic(path, "".join(f"{line}\n" for line in lines))


def _line(row: MomentRow, context: MomentContext, path: Path) -> str:
    video_id = row.video_id
    sentence = " ".join(context.text(*row.key).split())
    if len(video_id.split()) != 1 or _MARK in video_id:
        raise ConfigError(f"{_NAME} cannot store the name {video_id!r}", where=path)
    if not context.is_unique(video_id, sentence):
        raise ConfigError(
            f"two sentences of video {video_id} read {sentence!r}, {_NAME} cannot tell them apart",
            where=path,
        )
    start, end = (repr(float(context.seconds(video_id, frame, path))) for frame in row.span)
    return f"{video_id} {start} {end}{_MARK}{sentence}"


CHARADES = WholeFormat(".txt", read_charades, write_charades)
