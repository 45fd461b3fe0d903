"""`tgl segment` of frames that are all at hand: every stage in turn, then the pictures."""

from __future__ import annotations

from schemas.errors import ConfigError
from stages.core.engine.execute import release
from stages.core.engine.outputs import output_files
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.propagate.config import PropagateConfig
from stages.tools.segment.media import find_media
from stages.tools.segment.pipeline import Pipeline, copy_overlay, text_config, work_folder
from stages.tools.segment.request import STDIN, SegmentRequest, SegmentResult
from stages.tools.segment.results import describe, read_answers, write_answers


def segment_offline(
    request: SegmentRequest,
    config: PropagateConfig,
    *,
    runtime: Runtime,
    progress: Progress,
    force: bool,
) -> SegmentResult:
    """Segment a video, an image or a folder of frames.

    Args:
        request: what and where to.
        config: routing and limits.
        force: replace outputs that tgl did not write.

    Raises:
        ConfigError: raw video, which has no end.
        OutputBlocked: an output is an input or was not written by tgl.
        TglError: a stage failed.
    """
    if request.size is not None or str(request.source) == STDIN:
        raise ConfigError("raw video on standard input needs --online", where=request.source)
    media = find_media(request.source)
    for warning in (*request.warnings, *media.warnings):
        progress.warn(warning)
    inputs = request.inputs()
    request.check_folders(force=force)
    with output_files(request.protected(), force=force) as files:
        overlay = files.add(request.out)
        table = None if request.table is None else files.add(request.table)
        with work_folder(
            request.place,
            request.source,
            inputs=inputs,
            kept=request.work is not None,
            force=force,
        ):
            artifacts = Pipeline(request.place, runtime, progress, force).segment(
                media,
                list(request.sentences),
                checkpoint=request.checkpoint,
                text=text_config(request.checkpoint, request.encoder),
                propagation=config,
                rendering=request.rendering,
                masks=request.masks,
                font=request.font,
            )
            video, answers = read_answers(artifacts.index, artifacts.masks.path)
            copy_overlay(artifacts.pictures, media.video_id, overlay)
            if table is not None:
                write_answers(table, video, answers, artifacts.masks.path)
            release(artifacts.masks)
    lines = tuple(describe(video, answer) for answer in answers)
    return SegmentResult(lines, video.num_frames)
