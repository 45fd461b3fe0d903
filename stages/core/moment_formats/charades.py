"""Charades-STA: `video start end##sentence`, seconds, one span a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError, CorruptInput
from stages.core.moment_formats.context import MomentContext, Row, row, without_referents
from stages.core.moment_formats.files import numbered_lines

_MARK = "##"
_NAME = "Charades-STA"
_FIELDS = 3


def read_charades(path: Path, context: MomentContext) -> Iterator[Row]:
    """Rows of a Charades-STA file; the expression is found by its sentence.

    Raises:
        CorruptInput: a line has another form, or means nothing known.
        ConfigError: the frame rate is unknown.
    """
    for where, line in numbered_lines(path):
        head, mark, sentence = line.partition(_MARK)
        fields = head.split()
        if not mark or len(fields) != _FIELDS:
            raise CorruptInput("is not `video start end##sentence`", where=where)
        video_id = context.video(fields[0], where)
        expression = context.sentence(video_id, sentence, where)
        span = context.span(video_id, fields[1], fields[2], where)
        yield row(video_id, expression.expression_id, None, span)


def write_charades(path: Path, rows: Iterable[Row], context: MomentContext) -> None:
    """Write a line for each span.

    Raises:
        ConfigError: single referents, an unknown frame rate, a video's name with a blank, or two
            sentences of a video that read the same.
    """
    lines = [_line(moment, context, path) for moment in without_referents(rows, _NAME)]
    write_text_atomic(path, "".join(f"{line}\n" for line in lines))


def _line(moment: Row, context: MomentContext, path: Path) -> str:
    video_id, expression_id = moment["video_id"], moment["expression_id"]
    sentence = " ".join(context.text(video_id, expression_id).split())
    if len(video_id.split()) != 1 or _MARK in video_id:
        raise ConfigError(f"{_NAME} has no place for the name {video_id!r}", where=path)
    if not context.is_unique(video_id, sentence):
        raise ConfigError(
            f"two sentences of video {video_id} read {sentence!r}, {_NAME} cannot tell them apart",
            where=path,
        )
    frames = (moment["start_frame"], moment["end_frame"])
    start, end = (repr(float(context.seconds(video_id, frame, path))) for frame in frames)
    return f"{video_id} {start} {end}{_MARK}{sentence}"
