"""`tgl segment` for several videos: each stage once over all of them, an overlay of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import TglError, system_errors
from schemas.layouts import FRAMES_TABLE
from schemas.printable import printable
from schemas.receipts import read_receipt
from stages.core.datasets.frame_times import FrameTimes
from stages.core.engine.execute import release
from stages.core.engine.failures import input_failure
from stages.tools.segment.many.overlays import STAGE, OverlayConfig, OverlayInputs
from stages.tools.segment.many.request import ManyRequest, ManyResult
from stages.tools.segment.many.sentences import VideoSentences
from stages.tools.segment.outputs.results import (
    SentenceResult,
    even_times,
    read_results,
    summary_line,
)
from stages.tools.segment.outputs.segments import VideoSegments, write_segments_of_videos
from stages.tools.segment.pipeline import (
    FRAMES,
    Artifacts,
    Clip,
    Frames,
    Pipeline,
    VideosFailed,
    overlay_of,
)
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.ways import Way, way_of

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.index.index import Video

_EXTRACTED_BEFORE = "; its frames of the earlier run are kept"
"""What extract-frames adds to a failure; the video is left out all the same."""


def segment_many(run: SegmentRun) -> ManyResult:
    """Segment the videos of a :class:`ManyRequest`.

    A video that a stage cannot work on is left out, and that stage is run again for the others,
    with what it has finished.

    Raises:
        OutputBlocked: an output is an input or was not written by tgl.
        TglError: a stage failed, or every video did.
    """
    request = run.request
    assert isinstance(request, ManyRequest)
    run.warn(line for one in request.videos for line in one.video.warnings)
    way = way_of(run)
    run.check_folders(way.masks_stage)
    with run.output_files() as files:
        table = None if request.table is None else files.add(request.table)
        way.prepare(request.videos[0].video.source)
        videos = _Videos(run, request)
        with run.pipeline(keep=lambda: bool(videos.failures)) as pipeline:
            made = _make(videos, way, pipeline)
            result = _results(videos, made, pipeline, table)
            result = replace(result, removed=_removed(request.out, videos))
            release(made.artifacts.masks)
            release(made.overlays)  # right before the file
    return result


@dataclass
class _Videos:
    """The videos of a run that did not fail so far.

    Attributes:
        left: they, in the order of the request.
        failures: one line for each of the others.
    """

    run: SegmentRun
    request: ManyRequest
    left: list[VideoSentences] = field(init=False)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = list(self.request.videos)

    def drop(self, one: VideoSentences, reason: str) -> None:
        """Leave a video out, and say why."""
        line = reason if reason.startswith(f"{one.video.path}") else f"{one.video.path}: {reason}"
        self.left.remove(one)
        self.failures.append(line)
        self.run.progress.warn(f"{line}; the others go on")

    def drop_failed(self, failed: VideosFailed, work: Path) -> None:
        """Leave out the videos that a stage failed on."""
        named = {one.video.video_id: one for one in self.left}
        for name, line in failed.failures.items():
            one = named[name]
            text = line.removesuffix(_EXTRACTED_BEFORE).removeprefix(f"video {name}: ")
            self.drop(one, _users_words(text, work, one.video.path))


@dataclass(frozen=True)
class _Made:
    """The artifacts of all videos, and the overlays that are still held back."""

    artifacts: Artifacts
    overlays: Outcome


def _make(videos: _Videos, way: Way, pipeline: Pipeline) -> _Made:
    """Run every stage for the videos that do not fail."""
    while True:
        try:
            clips = _clips(videos, pipeline)
            artifacts = way.masks(pipeline, clips)
            drawn = pipeline.render(artifacts, videos.request)
            names = tuple(clip.video_id for clip in clips)
            inputs = OverlayInputs(tuple(overlay_of(drawn, name) for name in names))
            out = videos.request.out
            overlays = pipeline.run(STAGE, OverlayConfig(names), inputs, out, hold=True)
            return _Made(artifacts, overlays)
        except VideosFailed as failed:
            videos.drop_failed(failed, pipeline.work)


def _clips(videos: _Videos, pipeline: Pipeline) -> list[Clip]:
    """Decode the videos and link the images.

    Raises:
        VideosFailed: some videos cannot be decoded.
        TglError: no video is left.
    """
    frames: dict[str, Frames] = {}
    for one in list(videos.left):
        if one.video.source.video is None:
            try:
                frames[one.video.video_id] = pipeline.images(one.video.source)
            except TglError as error:
                if len(videos.left) == 1:
                    raise
                videos.drop(one, str(input_failure(error)))
    sources = [one.video.source for one in videos.left if one.video.source.video is not None]
    if sources:
        keep = videos.request.keep_damaged
        for found in pipeline.extract(sources, keep_damaged=keep):
            frames[found.video_id] = found
    return [Clip(frames[one.video.video_id], one.sentences) for one in videos.left]


def _results(videos: _Videos, made: _Made, pipeline: Pipeline, table: Path | None) -> ManyResult:
    """Write the table, and sum up every video."""
    clock = FrameTimes(pipeline.work / FRAMES / FRAMES_TABLE)
    lines: list[str] = []
    nothing: list[str] = []
    frames = sentences = 0
    preds = made.artifacts.masks.path

    def segments() -> Iterator[VideoSegments]:
        nonlocal frames, sentences
        for video, results in read_results(made.artifacts.index, preds):
            times = clock.of_video(video.video_id, video.frame_names)[1]
            lines.extend(_lines(video, results, times, made.artifacts))
            nothing.extend(_shown(video, one) for one in results if not one.visible)
            frames += video.num_frames
            sentences += len(results)
            yield VideoSegments(video, results, times or even_times(video.num_frames, video.fps))

    if table is None:
        for _ in segments():
            pass
    else:
        with system_errors(videos.request.table):
            write_segments_of_videos(table, segments(), preds)
    return ManyResult(
        tuple(lines),
        len(videos.left),
        sentences,
        frames,
        tuple(nothing),
        tuple(videos.failures),
    )


def _removed(out: Path, videos: _Videos) -> tuple[str, ...]:
    """The videos of an earlier run whose overlays are replaced by those of others."""
    try:
        former = read_receipt(out) if out.is_dir() else None
    except TglError:  # with --force it may be anything
        former = None
    if former is None or former.stage != STAGE.name:
        return ()
    now = {one.video.video_id for one in videos.left}
    return tuple(name for name in map(str, former.config.get("videos", ())) if name not in now)


def _lines(
    video: Video,
    results: Sequence[SentenceResult],
    times: Sequence[float] | None,
    artifacts: Artifacts,
) -> Iterator[str]:
    for result in results:
        objects = artifacts.objects
        count = None if objects is None else objects.get(result.expression.key, 0)
        yield f"{printable(video.video_id)}: {summary_line(video, result, times, count)}"


def _shown(video: Video, result: SentenceResult) -> str:
    return f'{printable(video.video_id)}: "{printable(result.expression.text)}"'


def _users_words(text: str, work: Path, video: Path) -> str:
    """A line without the path in the work folder that it begins with.

    A link to a frame of the user's becomes the frame's name.
    """
    place, colon, message = text.partition(": ")
    if not colon or not Path(place).is_relative_to(work):
        return text
    target = Path(os.path.realpath(place))
    if target.parent == Path(os.path.realpath(video)):
        return f"{target.name}: {message}"
    return message
