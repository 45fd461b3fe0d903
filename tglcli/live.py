"""`tgl segment --online`: what the user typed, made into a stream and its outputs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from schemas.directories import remove_tree
from schemas.errors import ConfigError
from stages.engine.runtime import Runtime
from stages.extract_frames.streaming import PictureStream, RawStream, Stream, VideoStream
from stages.index.frames import MAX_PIXELS
from stages.index.texts import TextStore
from stages.model.device import pick_device
from stages.propagate.config import PropagateConfig
from stages.propagate.online import OnlineSegmenter
from stages.propagate.online_routing import MomentFinder
from stages.propagate.stage import compile_parts, load_model
from tglcli.live_run import LiveRun, MakeSegmenter, Outputs
from tglcli.media import find_media, picture_names
from tglcli.options import RunOptions
from tglcli.pipeline import Pipeline, text_config
from tglcli.progress import TerminalProgress
from tglcli.segment_request import STDIN, SegmentRequest

STDIN_NAME = "stdin"


def segment_online(request: SegmentRequest, config: PropagateConfig, run: RunOptions) -> None:
    """Take a stream to its end, print what was found; see `tgl segment --online`.

    Args:
        request: what and where to.
        config: delay and routing.
        run: device, precision, bars.

    Raises:
        TglError: the stream broke off; what had come is written.
    """
    started = time.monotonic()
    outputs = _outputs(request)
    name, stream, warnings = _open(request)
    progress = TerminalProgress(quiet=run.quiet)
    for warning in (*request.warnings, *warnings):
        progress.warn(warning)
    pipeline = Pipeline(request.place, run.runtime, progress, run.force)
    encoding = text_config(request.checkpoint, request.encoder)
    texts = pipeline.texts_of(name, request.sentences, encoding)
    make = segmenter_maker(request.checkpoint, texts, request.sentences, config, run.runtime)
    if request.work is None:
        remove_tree(request.place)
    live = LiveRun(stream, name, request.sentences, make)
    live.write(outputs, request.rendering, progress, request.font)
    if not run.quiet:
        for line in live.lines():
            typer.echo(line)
        typer.echo(request.summary(live.frames, time.monotonic() - started))
    if live.failure is not None:
        raise live.failure


def segmenter_maker(
    checkpoint: Path,
    texts: Path,
    sentences: Sequence[str],
    config: PropagateConfig,
    runtime: Runtime,
) -> MakeSegmenter:
    """Load a checkpoint for streams.

    Args:
        checkpoint: of tgl train.
        texts: folder of the sentences' embeddings.
        sentences: as they were encoded.
        config: delay and routing.
        runtime: device and precision.
    """
    store = TextStore.open(texts)
    model = load_model(checkpoint, config, store)
    device = pick_device(runtime.device)
    model.to(device)
    if runtime.compile:
        compile_parts(model)
    embeddings = [store.get(sentence) for sentence in sentences]

    def make(size: tuple[int, int]) -> OnlineSegmenter:
        finders = [MomentFinder(config) for _ in embeddings]
        return OnlineSegmenter(
            model,
            embeddings,
            finders,
            config,
            size=size,
            device=device,
            precision=runtime.precision,
        )

    return make


def _outputs(request: SegmentRequest) -> Outputs:
    """Where the results go.

    Raises:
        ConfigError: a file of a kind that cannot be written frame by frame.
        OutputBlocked: the folder of masks is in use.
    """
    if request.rendering.format != "mp4":
        raise ConfigError(
            f"{request.out.name!r} cannot be written frame by frame; --online makes an .mp4",
            where="--out",
        )
    if request.table is not None and request.table.suffix != ".parquet":
        raise ConfigError(
            f"{request.table.name!r} cannot be written frame by frame; --online makes a .parquet",
            where="--table",
        )
    outputs = Outputs(request.out, request.masks, request.table)
    outputs.check()
    return outputs


def _open(request: SegmentRequest) -> tuple[str, Stream, tuple[str, ...]]:
    """The stream's name, the stream, and what to warn of.

    Raises:
        ConfigError: raw video without size or rate, or a size of what tells its own.
        MissingInput: there is no such file.
    """
    if str(request.source) == STDIN:
        return STDIN_NAME, _raw(request), ()
    if request.size is not None:
        raise ConfigError("only raw video on standard input needs it", where="--size")
    media = find_media(request.source)
    if media.video is not None:
        return media.video_id, VideoStream(media.video), ()
    return media.video_id, PictureStream(media.pictures, picture_names(media)), media.warnings


def _raw(request: SegmentRequest) -> RawStream:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", request.size or "")
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise ConfigError(
            f"{request.size!r} is no size; raw video on standard input needs one, such as 1280x720"
            if request.size
            else "raw video on standard input needs its size, such as 1280x720",
            where="--size",
        )
    if not request.rendering.fps:
        raise ConfigError("raw video on standard input does not tell its rate", where="--fps")
    return RawStream(sys.stdin.buffer, height, width, request.rendering.fps)
