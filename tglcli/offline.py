"""`tgl segment` of frames that are all at hand: every stage in turn, then the pictures."""

from __future__ import annotations

import time

import typer

from schemas.directories import remove_tree
from schemas.errors import ConfigError
from stages.propagate.config import PropagateConfig
from tglcli.answers import describe, read_answers, write_answers
from tglcli.media import find_media
from tglcli.options import RunOptions
from tglcli.pipeline import Pipeline, publish_picture, text_config
from tglcli.progress import TerminalProgress
from tglcli.segment_request import STDIN, SegmentRequest


def segment_offline(request: SegmentRequest, config: PropagateConfig, run: RunOptions) -> None:
    """Segment a video, a picture or a folder of pictures, print what was found.

    Args:
        request: what and where to.
        config: routing and limits.
        run: device, precision, bars.

    Raises:
        ConfigError: raw video, which has no end.
        TglError: a stage failed.
    """
    started = time.monotonic()
    if request.size is not None or str(request.source) == STDIN:
        raise ConfigError("raw video on standard input needs --online", where=request.source)
    media = find_media(request.source)
    progress = TerminalProgress(quiet=run.quiet)
    for warning in (*request.warnings, *media.warnings):
        progress.warn(warning)
    artifacts = Pipeline(request.place, run.runtime, progress, run.force).segment(
        media,
        list(request.sentences),
        checkpoint=request.checkpoint,
        text=text_config(request.checkpoint, request.encoder),
        propagation=config,
        rendering=request.rendering,
        masks=request.masks,
        font=request.font,
    )
    video, answers = read_answers(artifacts.index, artifacts.masks)
    publish_picture(artifacts.pictures, media.video_id, request.out)
    if request.table is not None:
        write_answers(request.table, video, answers, artifacts.masks)
    if request.work is None:
        remove_tree(request.place)
    if not run.quiet:
        for answer in answers:
            typer.echo(describe(video, answer))
        typer.echo(request.summary(video.num_frames, time.monotonic() - started))
