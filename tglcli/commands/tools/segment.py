"""tgl segment."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from schemas.errors import ConfigError, MissingInput
from schemas.wording import amount
from stages.core.model.loading.hub import TOY_CHECKPOINT
from stages.propagate.config import ROUTING, PropagateConfig
from stages.tools.render.config import RenderConfig
from stages.tools.segment.request import SegmentRequest, SegmentResult, check_suffix
from tglcli.options import RunOptions, stage_command
from tglcli.summary import duration, shown

TOY_WARNING = (
    "no --checkpoint: using the toy model, which knows only the coloured shapes of tgl toy; for "
    "real videos train one with: tgl train INDEX TEXT CHECKPOINT --backbone "
    "facebook/sam2.1-hiera-base-plus, and pass it with --checkpoint CHECKPOINT"
)
_FORMATS = {".mp4": "mp4", ".gif": "gif", ".png": "sheet"}


_Source = Annotated[
    Path,
    typer.Argument(
        help="Video, image, or folder of frames; with --online also '-', raw RGB video on "
        "standard input."
    ),
]
_Sentences = Annotated[
    list[str],
    typer.Argument(metavar="SENTENCE", help="Objects to segment, such as 'the left dog'."),
]
_Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Overlay to write: .mp4, .gif, or .png for a sheet of frames.",
    ),
]
_Checkpoint = Annotated[
    Path | None,
    typer.Option(help="Checkpoint of tgl train.", show_default="a toy model, for tgl toy only"),
]
_Masks = Annotated[
    Path | None,
    typer.Option(help="Folder for the masks as PNGs."),
]
_Table = Annotated[
    Path | None,
    typer.Option(
        help="File for moments and masks (COCO RLE): .json, or .parquet also with --online."
    ),
]
_Moments = Annotated[
    Literal["predicted", "all"],
    typer.Option(
        help="What routes the frames: moments that the model predicts, or all (every frame "
        "is relevant).",
        rich_help_panel=ROUTING,
    ),
]
_Encoder = Annotated[
    str | None,
    typer.Option(
        help="Folder or hub id of the text encoder.", show_default="that of the checkpoint"
    ),
]
_Fps = Annotated[
    float,
    typer.Option(
        help="Frame rate of the overlay; 0 is the video's rate. Needed for raw video.",
        min=0,
    ),
]
_Size = Annotated[
    str | None,
    typer.Option(
        help="WIDTHxHEIGHT of raw video on standard input, such as 1280x720.",
    ),
]
_Font = Annotated[
    Path | None,
    typer.Option(
        help="TrueType or OpenType font, for sentences in other than Latin script.",
        show_default="Pillow's",
    ),
]
_Work = Annotated[
    Path | None,
    typer.Option(
        help="Folder for intermediate results; further sentences reuse the frames.",
        show_default="temporary, beside the overlay",
    ),
]
_KeepDamaged = Annotated[
    bool,
    typer.Option(
        "--keep-damaged",
        help="Keep the frames of a video with decoding errors, and count the errors; else the "
        "video fails.",
    ),
]


@stage_command(
    PropagateConfig, runtime=("workers", "device", "precision", "compile"), own=("moments",)
)
def segment(
    source: _Source,
    sentences: _Sentences,
    out: _Out,
    config: PropagateConfig,
    run: RunOptions,
    checkpoint: _Checkpoint = None,
    masks: _Masks = None,
    table: _Table = None,
    moments: _Moments = PropagateConfig.moments,  # type: ignore[assignment]
    encoder: _Encoder = None,
    fps: _Fps = 0,
    size: _Size = None,
    font: _Font = None,
    work: _Work = None,
    keep_damaged: _KeepDamaged = False,
) -> None:
    """Segment objects in your own video, in one command.

    Examples:
        tgl segment video.mp4 "the dog that jumps" -o out.mp4 --checkpoint model
        tgl segment video.mp4 "the red car" "a man" -o sheet.png --masks masks
        tgl segment - "the red car" -o out.mp4 --online --size 1280x720 --fps 30
    """
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
        keep_damaged=keep_damaged,
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

    segment_run = SegmentRun(request, config, run.runtime, run.progress(), run.force)
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
        raise ConfigError(f"{out.name!r} does not end in .mp4, .gif or .png", where="--out")
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
            "no checkpoint given, and this installation has no toy model",
            where=TOY_CHECKPOINT,
            hint="train one with tgl train, and pass it with --checkpoint",
        )
    return TOY_CHECKPOINT
