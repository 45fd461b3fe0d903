"""tgl segment."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from schemas.errors import ConfigError, IncompleteRun
from schemas.wording import amount, listing
from stages.core.model.loading.hub import TOY
from stages.tools.render.config import GIF, MOST_TOGETHER, MOV, MP4, PNG, SHEET, WEBM, RenderConfig
from stages.tools.render.drawing import CUTOUT, DrawingConfig
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.prompts.parsing import parse_box, parse_mask, parse_point
from stages.tools.segment.prompts.records import Prompt
from stages.tools.segment.request import SegmentRequest, SegmentResult, check_suffix
from tglcli.commands.segment import options
from tglcli.options import RunOptions, stage_command
from tglcli.summary import counts_text, duration, shown

if TYPE_CHECKING:
    from stages.tools.segment.many.request import ManyRequest

TOY_WARNING = "the toy model knows only the coloured shapes of tgl toy"
_OVERLAYS = {".mp4": MP4, ".gif": GIF, ".png": SHEET}
_CUTOUTS = {".webm": WEBM, ".mov": MOV, ".png": PNG}


@stage_command(
    SegmentConfig, runtime=("workers", "device", "precision", "compile"), own=("moments", "tracks")
)
def segment(
    out: options.Out,
    config: SegmentConfig,
    run: RunOptions,
    source: options.Source = None,
    sentences: options.Sentences = None,
    videos: options.Videos = None,
    sentence_files: options.SentenceFiles = None,
    overlay_format: options.Format = None,
    boxes: options.Boxes = None,
    points: options.Points = None,
    not_points: options.NotPoints = None,
    mask_images: options.MaskImages = None,
    checkpoint: options.Checkpoint = None,
    masks: options.Masks = None,
    table: options.Table = None,
    moments: options.Moments = SegmentConfig.moments,  # type: ignore[assignment]
    tracks: options.Tracks = SegmentConfig.tracks,  # type: ignore[assignment]
    encoder: options.Encoder = None,
    fps: options.Fps = 0,
    size: options.Size = None,
    font: options.Font = None,
    work: options.Work = None,
    keep_damaged: options.KeepDamaged = False,
) -> None:
    """Segment objects in your own videos, in one command.

    Describe the objects, and public models find them (downloaded at first use) or a model that you
    trained (--checkpoint); or say where they are on any frame, and they are tracked. Routing,
    Memory, --expressions-per-batch and Online need a checkpoint.

    Examples:
        tgl segment video.mp4 "the dog that jumps" "a man" -o out.mp4 --masks masks
        tgl segment video.mp4 --box dog:40,60,200,180 --point ball:31,95@12 -o out.mp4
        tgl segment "the dog" --videos clips --sentences more.csv -o overlays
    """
    if table is not None:
        check_suffix(table)
    prompts = _prompts(boxes, points, not_points, mask_images)
    words = tuple(sentences or ())
    if videos:
        words = (*(() if source is None else (source,)), *words)
        place = videos[0]
        if config.online:
            raise ConfigError("has no effect with --videos", where="--online")
    else:
        place = _single(source, bool(words or prompts), sentence_files, overlay_format)
    request = SegmentRequest(
        place,
        words,
        out,
        _rendering(out, fps, config, overlay_format, single=not videos),
        checkpoint=checkpoint,
        prompts=prompts,
        models=config.local_models(),
        masks=masks,
        table=table,
        font=font,
        size=size,
        encoder=encoder,
        work=work,
        keep_damaged=keep_damaged,
        warnings=(TOY_WARNING,) if checkpoint == TOY else (),
    )
    config = replace(config, moments=moments, tracks=tracks)
    started = time.monotonic()
    if videos:
        from stages.tools.segment.many.planning import many_request  # loads Pillow

        _segment_many(many_request(request, videos, sentence_files or ()), config, run)
        return
    result = _segment(request, config, run)
    if not run.quiet:
        _print(result, request, time.monotonic() - started)
    if result.failure is not None:
        raise result.failure


def _prompts(
    boxes: list[str] | None,
    points: list[str] | None,
    not_points: list[str] | None,
    mask_images: list[str] | None,
) -> tuple[Prompt, ...]:
    """The prompts by hand, in the order of the options."""
    return (
        *map(parse_box, boxes or ()),
        *(parse_point(text, inside=True) for text in points or ()),
        *(parse_point(text, inside=False) for text in not_points or ()),
        *map(parse_mask, mask_images or ()),
    )


def _single(
    source: str | None, wanted: bool, lists: list[Path] | None, overlay_format: str | None
) -> Path:
    """The only video; raises ConfigError where it lacks something, or has an option of several."""
    if source is None:
        raise ConfigError(
            "is missing", where="SOURCE", hint="name a video, or several with --videos"
        )
    for option, value in (("--sentences", lists), ("--format", overlay_format)):
        if value:
            raise ConfigError("needs --videos, also for one video", where=option)
    if not wanted:
        raise ConfigError(
            "is missing",
            where="SENTENCE",
            hint="describe what to segment, or say where it is with --box, --point or --mask",
        )
    return Path(source)


def _segment_many(request: ManyRequest, config: SegmentConfig, run: RunOptions) -> None:
    """Segment several videos, and print a summary.

    Raises:
        IncompleteRun: some of them failed.
    """
    from stages.tools.segment.many.run import segment_many
    from stages.tools.segment.run import SegmentRun

    started = time.monotonic()
    result = segment_many(SegmentRun(request, config, run.runtime, run.progress(), run.force))
    if not run.quiet:
        for line in result.lines:
            typer.echo(line)
        if result.nothing:
            typer.echo(f"segment: nothing found for {listing(result.nothing, 'sentences')}")
        counts = counts_text(result.counts())
        _print_end(counts, request, time.monotonic() - started)
        if result.removed:
            gone = listing(result.removed, "videos")
            typer.echo(f"segment: removed the overlays of an earlier run of {gone}")
    if result.failures:
        total = len(result.failures) + result.videos
        raise IncompleteRun(
            f"{len(result.failures)} of {amount(total, 'videos')} failed, the others are done; "
            f"{result.failures[0]}",
            where=shown(request.out),
            hint="fix what failed and run the same command again; only that is recomputed",
        )


def _segment(request: SegmentRequest, config: SegmentConfig, run: RunOptions) -> SegmentResult:
    """Segment files or a stream; both load torch."""
    from stages.tools.segment.run import SegmentRun

    segment_run = SegmentRun(request, config, run.runtime, run.progress(), run.force)
    if config.online:
        from stages.tools.segment.online.live import segment_online

        return segment_online(segment_run)
    from stages.tools.segment.offline import segment_offline

    return segment_offline(segment_run)


def _print(result: SegmentResult, request: SegmentRequest, seconds: float) -> None:
    for line in result.lines:
        typer.echo(line)
    _print_end(amount(result.frames, "frames"), request, seconds)


def _print_end(counts: str, request: SegmentRequest, seconds: float) -> None:
    paths = ", ".join(map(shown, request.outputs()))
    typer.echo(f"segment: done in {duration(seconds)}: {counts} -> {paths}")


def _rendering(
    out: Path, fps: float, drawing: DrawingConfig, overlay_format: str | None, *, single: bool
) -> RenderConfig:
    """Settings of the overlay.

    Args:
        overlay_format: of the overlays in a folder, if it was given.
        single: whether it is one overlay, whose suffix says the format.
    """
    cut_out = drawing.style == CUTOUT
    if single:
        overlay_format = _format_of(out, cut_out=cut_out)
    return RenderConfig(
        **drawing.drawing(),
        format=overlay_format or (WEBM if cut_out else MP4),
        compare="sentences",
        sentences=MOST_TOGETHER,
        fps=fps,
    )


def _format_of(out: Path, *, cut_out: bool) -> str:
    """The format that an overlay's suffix says; raises ConfigError for another suffix."""
    formats = _CUTOUTS if cut_out else _OVERLAYS
    suffix = out.suffix.lower()
    if suffix not in formats:
        hint = None
        if cut_out:
            hint = "these formats of tgl segment are transparent"
        elif suffix in _CUTOUTS:
            hint = "--style cutout makes a video with transparency"
        *others, last = formats
        raise ConfigError(
            f"{out.name!r} does not end in {', '.join(others)} or {last}", where="--out", hint=hint
        )
    return formats[suffix]
