"""`tgl segment --online`: a stream opened from the request, and its outputs."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import torch

from schemas.directories import list_folder
from schemas.errors import ConfigError, system_errors
from schemas.receipts import Receipt, fingerprint, write_receipt
from stages.core.engine.outputs import output_folder, unnamed_as
from stages.core.engine.version import TGL_VERSION
from stages.core.index.texts import TextStore
from stages.core.media.ffmpeg import require_encoders
from stages.core.media.frames import MAX_PIXELS
from stages.core.model.device import pick_device
from stages.extract_frames.log import damage_warning
from stages.extract_frames.streaming import ImageStream, RawStream, Stream, VideoStream
from stages.propagate.config import PropagateConfig
from stages.propagate.online.routing import MomentFinder
from stages.propagate.online.segmenter import OnlineSegmenter
from stages.propagate.stage import STAGE
from stages.propagate.work import load_model
from stages.tools.render.config import WITH_SOUND
from stages.tools.render.drawing import CUTOUT
from stages.tools.render.writing.overlays import ENCODERS
from stages.tools.segment.frame_source import find_frame_source, image_names
from stages.tools.segment.online.stream import MakeSegmenter, StreamOutputs, StreamRun
from stages.tools.segment.request import JSON, SegmentRequest, SegmentResult, check_sentences
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.trained import (
    checkpoint_of,
    encode_sentences,
    text_config,
)

STDIN_NAME = "stdin"


def segment_online(run: SegmentRun) -> SegmentResult:
    """Segment a stream to its end.

    Raises:
        OutputBlocked: an output is an input or was not written by tgl.
        TglError: the stream has no frames.
    """
    request = run.request
    if request.prompts:
        raise ConfigError("has no effect on a stream", where=request.prompts[0])
    _check_suffixes(request)
    run.check_folders(STAGE.name)
    name, stream, warnings = _open(request)
    checkpoint = checkpoint_of(run)
    run.warn(warnings)
    with run.output_files() as files, ExitStack() as stack:
        masks = stack.enter_context(_masks_folder(run))
        table = None if request.table is None else files.add(request.table)
        outputs = StreamOutputs(files.add(request.out), masks, table)
        text = text_config(checkpoint, request.encoder)
        check_sentences(request.sentences)
        with run.pipeline() as pipeline:
            texts = encode_sentences(pipeline, name, request.sentences, text)
            make = _segmenter_maker(run, checkpoint, texts)
        live = StreamRun(stream, name, request.sentences, make)
        with unnamed_as(request.out):
            live.write(outputs, request.rendering, run.progress, request.font)
        if isinstance(stream, VideoStream) and stream.errors:
            run.progress.warn(damage_warning(name, stream.errors))
        if masks is not None:
            with system_errors(request.masks):
                write_receipt(masks, _receipt(run.config.trained(), live, masks))
    return SegmentResult(tuple(live.lines()), live.frames, live.failure)


def _masks_folder(run: SegmentRun) -> AbstractContextManager[Path | None]:
    """Temporary folder of the stream's masks, which gets the user's name at the end."""
    request = run.request
    if request.masks is None:
        return nullcontext(None)
    inputs = [*request.inputs(), *(() if request.work is None else (request.work,))]
    return output_folder(request.masks, STAGE.name, inputs=inputs, force=run.force)


def _segmenter_maker(run: SegmentRun, checkpoint: Path, texts: Path) -> MakeSegmenter:
    """Load the checkpoint.

    Args:
        texts: folder of the sentences' embeddings.
    """
    config, runtime = run.config.trained(), run.runtime
    store = TextStore.open(texts)
    device = pick_device(runtime.device)
    model = load_model(checkpoint, store, runtime, device)
    embeddings = [store.get(sentence) for sentence in run.request.sentences]

    def make(size: tuple[int, int]) -> OnlineSegmenter:
        return OnlineSegmenter(
            model,
            embeddings,
            [MomentFinder(config) for _ in embeddings],
            config,
            size=size,
            device=device,
            precision=runtime.precision,
        )

    return make


def _receipt(config: PropagateConfig, live: StreamRun, masks: Path) -> Receipt:
    """Receipt of a stream's masks, which never counts as up to date: a stream comes once."""
    settings = config.to_dict()
    failures = () if live.failure is None else (str(live.failure),)
    return Receipt(
        stage=STAGE.name,
        stage_version=STAGE.version,
        config=settings,
        inputs={},
        fingerprint=fingerprint(STAGE.name, STAGE.version, settings, {}),
        counts={"videos": 1, "frames": live.frames},
        outputs=list_folder(masks),
        failures=failures,
        tgl=TGL_VERSION,
        threads=torch.get_num_threads(),
    )


def _check_suffixes(request: SegmentRequest) -> None:
    """Raise ConfigError for a format that cannot be written frame by frame."""
    rendering = request.rendering
    if rendering.file_format not in WITH_SOUND:
        raise ConfigError(
            f"{request.out.name!r} cannot be written frame by frame; --online writes "
            f"{'a .webm or .mov' if rendering.style == CUTOUT else 'an .mp4'}",
            where="--out",
        )
    if rendering.keep_audio:
        raise ConfigError("has no effect with --online", where="--keep-audio")
    require_encoders([ENCODERS[rendering.file_format]])
    if request.table is not None and request.table.suffix == JSON:
        raise ConfigError(
            f"{request.table.name!r} cannot be written frame by frame; --online writes .csv or "
            ".parquet",
            where="--table",
        )


def _open(request: SegmentRequest) -> tuple[str, Stream, tuple[str, ...]]:
    """Open the stream: its name, the stream itself, and warnings.

    Raises:
        ConfigError: raw video without size or frame rate, or `--size` for other sources.
        MissingInput: no such file.
    """
    if request.from_stdin:
        return STDIN_NAME, _raw(request), ()
    if request.size is not None:
        raise ConfigError("only raw video on standard input needs it", where="--size")
    source = find_frame_source(request.source)
    if source.video is not None:
        stream = VideoStream(source.video, keep_damaged=request.keep_damaged)
        return source.video_id, stream, ()
    return source.video_id, ImageStream(source.images, image_names(source)), source.warnings


def _raw(request: SegmentRequest) -> RawStream:
    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", request.size or "")
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise ConfigError(
            f"{request.size!r} is not WIDTHxHEIGHT in pixels, such as 1280x720"
            if request.size
            else "raw video on standard input needs its size, such as 1280x720",
            where="--size",
        )
    if not request.rendering.fps:
        raise ConfigError("raw video on standard input needs its frame rate", where="--fps")
    return RawStream(sys.stdin.buffer, height, width, request.rendering.fps)
