"""One stream from its first frame to its last: masks, tables and an overlay, written meanwhile.

Memory does not grow with the number of frames: a stream may be of any length.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, tee
from pathlib import Path
from typing import NamedTuple

import numpy as np

from schemas.errors import CorruptInput, MissingInput, TglError, system_errors
from schemas.layouts import PROPAGATION_TABLE, mask_path
from schemas.vocabulary import LANGUAGE
from schemas.wording import amount
from stages.core.engine.progress import Progress, Task
from stages.core.media.mask_png import encode_mask
from stages.core.media.spans import Span
from stages.core.model.backbones.preprocess import resize_frames
from stages.extract_frames.streaming import Stream
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.segmenter import OnlineSegmenter
from stages.tools.render.config import RenderConfig
from stages.tools.render.drawing import CUTOUT
from stages.tools.render.live_overlay import LiveOverlay
from stages.tools.render.text import missing_characters
from stages.tools.render.timestamps import StreamTimes
from stages.tools.render.writing.videos import odd_size_note, write_mp4, write_transparent
from stages.tools.segment.online.stream_tables import (
    frame_segments,
    propagation_table,
    segments_table,
)
from stages.tools.segment.outputs.results import Seconds, describe_moments, even_seconds

UNKNOWN_FPS = 6.0
"""Frame rate of an overlay where none is known; that of MeViS is about this."""
MOST_MOMENTS = 20
"""Moments of a sentence that the summary lists."""

MakeSegmenter = Callable[[tuple[int, int]], OnlineSegmenter]
"""Makes the segmenter for frames of (H, W)."""
Sink = Callable[[FrameResult, float | None], None]
"""Takes the result of a frame, and its time in seconds if it is known."""


@dataclass(frozen=True)
class StreamOutputs:
    """Paths of a stream's results.

    Attributes:
        overlay: an mp4; a webm or mov of a cut-out.
        masks: an empty folder for PNGs and their propagation table, if wanted.
        table: a Parquet file of moments and masks, if wanted.
    """

    overlay: Path
    masks: Path | None = None
    table: Path | None = None


@dataclass
class SentenceSummary:
    """Running summary of one sentence.

    Attributes:
        moments: the first half-open spans of relevant frames.
        seconds: start and end of each of them, if the frames have time stamps.
        visible: number of frames with a mask.
        more: number of moments that are not listed.
    """

    moments: list[Span] = field(default_factory=list)
    seconds: list[Seconds] = field(default_factory=list)
    visible: int = 0
    more: int = 0
    _last: int = -1

    def add(self, frame: int, now: float | None, *, relevant: bool, visible: bool) -> None:
        """Add the next frame, with its time if it is known."""
        self.end(frame, now)
        self.visible += visible
        if not relevant:
            return
        continues, self._last = self._last == frame - 1 and frame > 0, frame
        if self.more and continues:
            return
        if continues and self.moments:
            self.moments[-1] = (self.moments[-1][0], frame + 1)
        elif len(self.moments) < MOST_MOMENTS:
            self.moments.append((frame, frame + 1))
            if now is not None:
                self.seconds.append((now, now))
        else:
            self.more += 1

    def end(self, frame: int, now: float | None) -> None:
        """Set the end of the last listed moment if it reaches up to `frame`."""
        if now is not None and self.moments and self.moments[-1][1] == frame:
            self.seconds[-1] = self.seconds[-1][0], now


class _SegmentedFrame(NamedTuple):
    """A frame, uint8 (H, W, 3), its time stamp if known, and its masks."""

    image: np.ndarray
    seconds: float | None
    result: FrameResult


class StreamRun:
    """Segments one stream.

    Args:
        stream: of frames.
        name: of the video, for folders and tables.
        sentences: what to segment.
        make: makes the segmenter once the frames' size is known.

    Attributes:
        frames: number of frames written so far.
        failure: error that ended the stream early, if any.
    """

    def __init__(self, stream: Stream, name: str, sentences: Sequence[str], make: MakeSegmenter):
        self.frames = 0
        self.failure: TglError | None = None
        self.summaries = [SentenceSummary() for _ in sentences]
        self._stream = stream
        self._name = name
        self._sentences = sentences
        self._make = make

    def write(
        self,
        outputs: StreamOutputs,
        rendering: RenderConfig,
        progress: Progress,
        font: Path | None = None,
    ) -> None:
        """Read the stream to its end and write all outputs, as far as they come before an error.

        Raises:
            CorruptInput: the stream has no frames.
        """
        with ExitStack() as stack:
            stopped = stack.enter_context(stop_on_interrupt())
            sinks = [*self._mask_sinks(outputs, stack), *self._table_sinks(outputs, stack)]
            task = stack.enter_context(progress.task("segment", None, "frame"))
            segmented = self._segment(stopped)
            first = next(segmented, None)
            if first is None:
                raise self.failure or CorruptInput("contains no frames", where=self._name)
            height, width, _ = first.image.shape
            if rendering.has_text and (line := missing_characters(self._sentences, font)):
                progress.warn(line)
            overlay = LiveOverlay(
                self._sentences, height, width, rendering, note=self._name, font=font
            )
            fps = rendering.fps or self._stream.fps or UNKNOWN_FPS
            clock = None
            if first.seconds is not None:
                clock = StreamTimes(1 / fps, partial(self._warn, progress))
            saved = self._saved(chain([first], segmented), sinks, task, clock)
            times = None
            if clock is not None and not rendering.fps:
                # A frame is written when the time of the next one is known.
                saved, ahead = tee(saved)
                times = _times(ahead, clock)
            drawn = _drawn(saved, overlay)
            write = write_transparent if rendering.style == CUTOUT else write_mp4
            if write is write_mp4 and (note := odd_size_note(overlay.size)):
                self._warn(progress, note)
            write(outputs.overlay, drawn, overlay.size, fps, rendering.quality, times)

    def lines(self) -> Iterator[str]:
        """Sum up each sentence in a line: its moments, and the number of frames with a mask."""
        for sentence, summary in zip(self._sentences, self.summaries, strict=True):
            seconds = summary.seconds or even_seconds(summary.moments, self._stream.fps)
            line = describe_moments(
                sentence, summary.moments, summary.visible, frames=self.frames, seconds=seconds
            )
            yield f"{line}, {amount(summary.more, 'more moments')}" if summary.more else line

    def _segment(self, stopped: Callable[[], bool]) -> Iterator[_SegmentedFrame]:
        """Yield every frame as soon as it is segmented."""
        waiting: deque[tuple[np.ndarray, float | None]] = deque()
        segmenter: OnlineSegmenter | None = None
        try:
            for image in self._stream:
                if segmenter is None:
                    segmenter = self._make((image.shape[0], image.shape[1]))
                waiting.append((image, self._stream.seconds))
                for result in segmenter.push(resize_frames(image[None], segmenter.side)[0]):
                    yield _SegmentedFrame(*waiting.popleft(), result)
                if stopped():
                    break
        except (CorruptInput, MissingInput) as error:
            self.failure = error
        if segmenter is not None:
            for result in segmenter.finish():
                yield _SegmentedFrame(*waiting.popleft(), result)

    def _saved(
        self,
        segmented: Iterator[_SegmentedFrame],
        sinks: Sequence[Sink],
        task: Task,
        clock: StreamTimes | None,
    ) -> Iterator[_SegmentedFrame]:
        """Yield the same frames, each after its masks and rows are written and counted.

        Args:
            clock: makes times of their time stamps; None if they have none.
        """
        for image, stamp, result in segmented:
            now = None if clock is None else clock.add(stamp)
            for sink in sinks:
                sink(result, now)
            self._count(result, now)
            task.advance()
            yield _SegmentedFrame(image, now, result)
        for summary in self.summaries:
            summary.end(self.frames, None if clock is None else clock.end)

    def _warn(self, progress: Progress, message: str) -> None:
        progress.warn(f"{self._name}: {message}")

    def _mask_sinks(self, outputs: StreamOutputs, stack: ExitStack) -> Iterator[Sink]:
        """Write PNGs and their propagation table."""
        if outputs.masks is None:
            return
        root = outputs.masks
        names = [str(number) for number in range(len(self._sentences))]
        for name in names:
            (root / self._name / name).mkdir(parents=True)
        table = stack.enter_context(propagation_table(root / PROPAGATION_TABLE))

        def save(result: FrameResult, _: float | None) -> None:
            for name, mask in zip(names, result.masks, strict=True):
                path = mask_path(root, self._name, name, self._stream.name(result.frame))
                with system_errors(path):
                    path.write_bytes(encode_mask(mask))
            table.add(result.rows(self._name, names).table())

        yield save

    def _table_sinks(self, outputs: StreamOutputs, stack: ExitStack) -> Iterator[Sink]:
        """Write the table of moments and masks."""
        if outputs.table is None:
            return
        table = stack.enter_context(segments_table(outputs.table))

        def add(result: FrameResult, now: float | None) -> None:
            if now is None and self._stream.fps:
                now = result.frame / self._stream.fps
            name = self._stream.name(result.frame)
            table.add(frame_segments(self._name, self._sentences, result, name, now))

        yield add

    def _count(self, result: FrameResult, now: float | None) -> None:
        self.frames += 1
        for summary, mask, route in zip(self.summaries, result.masks, result.routes, strict=True):
            relevant, visible = route == LANGUAGE, bool(mask.any())
            summary.add(result.frame, now, relevant=relevant, visible=visible)


def _times(segmented: Iterator[_SegmentedFrame], clock: StreamTimes) -> Iterator[float]:
    """Yield the time of each frame, then that of the end."""
    for _, seconds, _ in segmented:
        assert seconds is not None
        yield seconds
    yield clock.end


def _drawn(segmented: Iterator[_SegmentedFrame], overlay: LiveOverlay) -> Iterator[np.ndarray]:
    """Draw the overlay's frames, uint8 RGB."""
    for image, _, result in segmented:
        relevant = [route == LANGUAGE for route in result.routes]
        yield overlay.draw(result.frame, image, result.masks, relevant)


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for the end of the stream, and only the second one interrupt.

    Yields:
        a function that returns whether the end was asked for.
    """
    asked = False
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
