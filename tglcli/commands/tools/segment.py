"""tgl segment."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from schemas.errors import ConfigError, MissingInput
from schemas.wording import amount
from stages.core.model.hub import TOY_CHECKPOINT
from stages.propagate.config import PropagateConfig
from stages.tools.render.config import RenderConfig
from stages.tools.segment.request import SegmentRequest, SegmentResult, check_suffix
from tglcli.options import SETTINGS_PANEL, RunOptions, stage_command
from tglcli.progress import TerminalProgress
from tglcli.summary import duration, shown

TOY_WARNING = (
    "no --checkpoint: this is the toy model, which knows only the coloured shapes of tgl toy; for "
    "real videos train one with: tgl train INDEX TEXT CHECKPOINT --backbone "
    "facebook/sam2.1-hiera-base-plus, and name it with --checkpoint CHECKPOINT"
)
_FORMATS = {".mp4": "mp4", ".gif": "gif", ".png": "sheet"}


@stage_command(
    PropagateConfig, runtime=("workers", "device", "precision", "compile"), own=("moments",)
)
def segment(
    source: Annotated[
        Path,
        typer.Argument(
            help="A video, a picture, or a folder of frames; with --online also - for raw RGB "
            "video on standard input.",
            show_default=False,
        ),
    ],
    sentences: Annotated[
        list[str],
        typer.Argument(help="What to segment, one sentence each.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The overlay: .mp4, .gif, or .png for a sheet of frames.",
            show_default=False,
        ),
    ],
    config: PropagateConfig,
    run: RunOptions,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint of tgl train.", show_default="the toy one, which knows only shapes"
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Keep the masks as PNGs in this folder.", show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Write moments and masks (COCO RLE) to this .json or .parquet file; .parquet "
            "with --online.",
            show_default=False,
        ),
    ] = None,
    moments: Annotated[
        Literal["predicted", "all"],
        typer.Option(
            help="What routes the frames: the model's own moments, or every frame guided.",
            rich_help_panel=SETTINGS_PANEL,
        ),
    ] = "predicted",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="The text encoder's folder, if it is no longer where the checkpoint says.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float,
        typer.Option(
            help="Frames a second of the overlay; 0 is the video's own rate, which raw video on "
            "standard input does not tell.",
            min=0,
        ),
    ] = 0,
    size: Annotated[
        str | None,
        typer.Option(
            help="Width and height in pixels of raw video on standard input, such as 1280x720.",
            show_default=False,
        ),
    ] = None,
    font: Annotated[
        Path | None,
        typer.Option(help="A font, for sentences that are not in Latin letters."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Keep the work of every stage here; more sentences then reuse the frames.",
            show_default="beside the overlay, removed at the end",
        ),
    ] = None,
) -> None:
    """Segment what sentences say in a video of one's own, all stages in one go."""
    request = SegmentRequest(
        source,
        tuple(sentences),
        out,
        _rendering(out, sentences, fps),
        _checkpoint(checkpoint),
        masks=masks,
        table=table,
        font=font,
        size=size,
        encoder=encoder,
        work=work,
        warnings=(TOY_WARNING,) if checkpoint is None else (),
    )
    if table is not None:
        check_suffix(table)
    config = replace(config, moments=moments)
    started = time.monotonic()
    result = _segment(request, config, run)
    if not run.quiet:
        _print(result, request, time.monotonic() - started)
    if result.failure is not None:
        raise result.failure


def _segment(request: SegmentRequest, config: PropagateConfig, run: RunOptions) -> SegmentResult:
    """Segment files or a stream; both load torch."""
    from stages.tools.segment.run import SegmentRun

    progress = TerminalProgress(quiet=run.quiet)
    segment_run = SegmentRun(request, config, run.runtime, progress, run.force)
    if config.online:
        from stages.tools.segment.online import segment_online

        return segment_online(segment_run)
    from stages.tools.segment.offline import segment_offline

    return segment_offline(segment_run)


def _print(result: SegmentResult, request: SegmentRequest, seconds: float) -> None:
    for line in result.lines:
        typer.echo(line)
    paths = ", ".join(map(shown, request.outputs()))
    typer.echo(
        f"segment: done in {duration(seconds)}: {amount(result.frames, 'frames')} -> {paths}"
    )


def _rendering(out: Path, sentences: list[str], fps: float) -> RenderConfig:
    if out.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{out.name!r} ends in none of {', '.join(_FORMATS)}", where="--out")
    return RenderConfig(
        format=_FORMATS[out.suffix.lower()],
        compare="sentences",
        sentences=len(sentences),
        fps=fps,
    )


def _checkpoint(named: Path | None) -> Path:
    if named is not None:
        return named
    if not TOY_CHECKPOINT.is_dir():
        raise MissingInput(
            "no checkpoint is named, and this installation has no toy one",
            where=TOY_CHECKPOINT,
            hint="train one with tgl train, and name it with --checkpoint",
        )
    return TOY_CHECKPOINT
