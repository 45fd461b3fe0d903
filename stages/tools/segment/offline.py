"""`tgl segment` on files: every stage in turn, then the overlay."""

from __future__ import annotations

import shutil

from schemas.errors import ConfigError, system_errors
from schemas.layouts import FRAMES_TABLE
from stages.core.datasets.frame_times import FrameTimes
from stages.core.engine.execute import release
from stages.tools.render.config import PNG, RenderConfig
from stages.tools.segment.frame_source import FrameSource, find_frame_source
from stages.tools.segment.outputs.results import even_times, read_results, summary_line
from stages.tools.segment.outputs.segments import write_segments
from stages.tools.segment.pipeline import FRAMES, Clip, overlay_of
from stages.tools.segment.request import SegmentResult
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.ways import way_of


def segment_offline(run: SegmentRun) -> SegmentResult:
    """Segment a video, an image or a folder of frames.

    Raises:
        ConfigError: raw video, which only a stream reads.
        OutputBlocked: an output is an input or was not written by tgl.
        TglError: a stage failed.
    """
    request = run.request
    if request.size is not None or request.from_stdin:
        raise ConfigError("raw video on standard input needs --online", where=request.source)
    source = find_frame_source(request.source)
    _check_drawing(request.rendering, source)
    run.warn(source.warnings)
    way = way_of(run)
    run.check_folders(way.masks_stage)
    with run.output_files() as files:
        overlay = files.add(request.out)
        table = None if request.table is None else files.add(request.table)
        way.prepare(source)
        with run.pipeline() as pipeline:
            frames = pipeline.frames(source, keep_damaged=request.keep_damaged)
            artifacts = way.masks(pipeline, [Clip(frames, request.sentences)])
            drawn = pipeline.render(artifacts, request)
            ((video, results),) = read_results(artifacts.index, artifacts.masks.path)
            with system_errors(request.out):
                shutil.copyfile(overlay_of(drawn, video.video_id), overlay)
            times = FrameTimes(pipeline.work / FRAMES / FRAMES_TABLE).of_video(
                video.video_id, video.frame_names
            )[1]
            if table is not None:
                seconds = times or even_times(video.num_frames, video.fps)
                with system_errors(request.table):
                    write_segments(table, video, results, artifacts.masks.path, seconds)
            if request.masks is None:
                release(artifacts.masks)
        if request.masks is not None:  # right before the files
            release(artifacts.masks)
    objects = artifacts.objects
    lines = tuple(
        summary_line(
            video,
            result,
            times,
            None if objects is None else objects.get(result.expression.key, 0),
        )
        for result in results
    )
    return SegmentResult(lines, video.num_frames)


def _check_drawing(rendering: RenderConfig, source: FrameSource) -> None:
    """Raise ConfigError where the source has no sound to keep, or more frames than a PNG."""
    if rendering.keep_audio and source.video is None:
        raise ConfigError("images have no sound", where="--keep-audio")
    if rendering.file_format == PNG and len(source.images) != 1:
        raise ConfigError(
            "a .png is the cut-out of one image",
            where="--out",
            hint="a video is .webm or .mov; tgl render writes a PNG per frame",
        )
