"""`tgl segment --online`: what the user typed, made into a stream and its outputs."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from schemas.directories import list_folder
from schemas.errors import ConfigError
from schemas.receipts import Receipt, fingerprint, write_receipt
from stages.core.engine.outputs import output_files, output_folder
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.version import TGL_VERSION
from stages.core.index.texts import TextStore
from stages.core.media.frames import MAX_PIXELS
from stages.core.model.device import pick_device
from stages.extract_frames.streaming import PictureStream, RawStream, Stream, VideoStream
from stages.propagate.config import PropagateConfig
from stages.propagate.online.routing import MomentFinder
from stages.propagate.online.segmenter import OnlineSegmenter
from stages.propagate.stage import STAGE, load_model
from stages.tools.segment.media import find_media, picture_names
from stages.tools.segment.pipeline import Pipeline, text_config, work_folder
from stages.tools.segment.request import STDIN, SegmentRequest, SegmentResult
from stages.tools.segment.stream import LiveRun, MakeSegmenter, Outputs

STDIN_NAME = "stdin"


def segment_online(
    request: SegmentRequest,
    config: PropagateConfig,
    *,
    runtime: Runtime,
    progress: Progress,
    force: bool,
) -> SegmentResult:
    """Segment a stream to its end; see `tgl segment --online`.

    Args:
        request: what and where to.
        config: delay and routing.
        force: replace outputs that tgl did not write.

    Raises:
        OutputBlocked: an output is an input or was not written by tgl.
        TglError: not a single frame came.
    """
    _check_suffixes(request)
    request.check_folders(force=force)
    name, stream, warnings = _open(request)
    for warning in (*request.warnings, *warnings):
        progress.warn(warning)
    with output_files(request.protected(), force=force) as files, ExitStack() as stack:
        masks = stack.enter_context(_masks_folder(request, force))
        table = None if request.table is None else files.add(request.table)
        outputs = Outputs(files.add(request.out), masks, table)
        make = _segmenter(request, config, name, runtime=runtime, progress=progress, force=force)
        live = LiveRun(stream, name, request.sentences, make)
        live.write(outputs, request.rendering, progress, request.font)
        if masks is not None:
            write_receipt(masks, _receipt(config, live, masks))
    return SegmentResult(tuple(live.lines()), live.frames, live.failure)


def _masks_folder(request: SegmentRequest, force: bool) -> AbstractContextManager[Path | None]:
    """Where the stream's masks are gathered; they appear under the user's name at its end."""
    if request.masks is None:
        return nullcontext(None)
    inputs = [*request.inputs(), *(() if request.work is None else (request.work,))]
    return output_folder(request.masks, STAGE.name, inputs=inputs, force=force)


def _segmenter(
    request: SegmentRequest,
    config: PropagateConfig,
    name: str,
    *,
    runtime: Runtime,
    progress: Progress,
    force: bool,
) -> MakeSegmenter:
    """Encode the sentences and load the model."""
    encoding = text_config(request.checkpoint, request.encoder)
    with work_folder(
        request.place,
        request.source,
        inputs=request.inputs(),
        kept=request.work is not None,
        force=force,
    ):
        pipeline = Pipeline(request.place, runtime, progress, force)
        texts = pipeline.texts_of(name, request.sentences, encoding)
        return segmenter_maker(request.checkpoint, texts, request.sentences, config, runtime)


def _receipt(config: PropagateConfig, live: LiveRun, masks: Path) -> Receipt:
    """Receipt of a stream's masks; no run finds them up to date, for a stream comes once."""
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
    )


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
    device = pick_device(runtime.device)
    model = load_model(checkpoint, store, runtime, device)
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


def _check_suffixes(request: SegmentRequest) -> None:
    """Raise ConfigError for a file of a kind that cannot be written frame by frame."""
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
