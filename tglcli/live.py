"""`tgl segment --online`: what the user typed, made into a stream and its outputs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from stages.render.config import RenderConfig
from tglcli.live_run import LiveRun, MakeSegmenter, Outputs
from tglcli.media import find_media, picture_names
from tglcli.options import RunOptions
from tglcli.pipeline import Pipeline, text_config
from tglcli.progress import TerminalProgress
from tglcli.summary import duration, shown

STDIN = "-"
STDIN_NAME = "stdin"


@dataclass(frozen=True)
class LiveRequest:
    """What the user typed: a stream, sentences, and where the results go.

    Attributes:
        source: a video, a picture, a folder of pictures, or `-` for raw video.
        size: of raw video, `WIDTHxHEIGHT`.
        rendering: its `fps` is the rate of raw video.
    """

    source: Path
    sentences: tuple[str, ...]
    out: Path
    rendering: RenderConfig
    masks: Path | None
    table: Path | None
    font: Path | None
    size: str | None

    def outputs(self) -> Outputs:
        """Where the results go.

        Raises:
            ConfigError: a file of a kind that cannot be written frame by frame.
            OutputBlocked: the folder of masks is in use.
        """
        if self.rendering.format != "mp4":
            raise ConfigError(
                f"{self.out.name!r} cannot be written frame by frame; --online makes an .mp4",
                where="--out",
            )
        if self.table is not None and self.table.suffix != ".parquet":
            raise ConfigError(
                f"{self.table.name!r} cannot be written frame by frame; --online makes a .parquet",
                where="--table",
            )
        outputs = Outputs(self.out, self.masks, self.table)
        outputs.check()
        return outputs

    def open(self) -> tuple[str, Stream]:
        """The stream and its name.

        Raises:
            ConfigError: raw video without size or rate, or a size of what tells its own.
            MissingInput: there is no such file.
        """
        if str(self.source) == STDIN:
            return STDIN_NAME, self._raw()
        if self.size is not None:
            raise ConfigError("only raw video on standard input needs it", where="--size")
        media = find_media(self.source)
        if media.video is not None:
            return media.video_id, VideoStream(media.video)
        return media.video_id, PictureStream(media.pictures, picture_names(media))

    def _raw(self) -> RawStream:
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.size or "")
        width, height = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 0 < width * height <= MAX_PIXELS:
            wrong = "" if self.size is None else f"{self.size!r} is no size; "
            raise ConfigError(
                f"{wrong}raw video on standard input needs its size, such as 1280x720",
                where="--size",
            )
        if not self.rendering.fps:
            raise ConfigError("raw video on standard input does not tell its rate", where="--fps")
        return RawStream(sys.stdin.buffer, height, width, self.rendering.fps)


def segment_online(
    request: LiveRequest,
    config: PropagateConfig,
    run: RunOptions,
    checkpoint: Path,
    encoder: str | None,
    work: Path | None,
    warnings: Sequence[str],
) -> None:
    """Take a stream to its end, print what was found; see `tgl segment --online`.

    Args:
        request: what and where to.
        config: delay and routing.
        run: device, precision, bars.
        checkpoint: of tgl train.
        encoder: a folder or hub id that stands for the one named in the checkpoint.
        work: where to keep the sentences' embeddings.
        warnings: to be shown first.

    Raises:
        TglError: the stream broke off; what had come is written.
    """
    started = time.monotonic()
    outputs = request.outputs()
    name, stream = request.open()
    progress = TerminalProgress(quiet=run.quiet)
    for warning in warnings:
        progress.warn(warning)
    place = work or request.out.with_name(f".{request.out.name}.segment")
    pipeline = Pipeline(place, run.runtime, progress, run.force)
    texts = pipeline.texts_of(name, request.sentences, text_config(checkpoint, encoder))
    make = segmenter_maker(checkpoint, texts, request.sentences, config, run.runtime)
    if work is None:
        remove_tree(place)
    live = LiveRun(stream, name, request.sentences, make)
    live.write(outputs, request.rendering, progress, request.font)
    if not run.quiet:
        for line in live.lines():
            typer.echo(line)
        written = (request.out, request.masks, request.table)
        paths = ", ".join(shown(path) for path in written if path is not None)
        seconds = duration(time.monotonic() - started)
        typer.echo(f"segment: done in {seconds}: {live.frames} frames -> {paths}")
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
