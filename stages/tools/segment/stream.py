"""One stream from its first frame to its last: masks, tables and an overlay while it goes on.

Nothing here grows with the number of frames: a stream may be longer than any memory.
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

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import PROPAGATION_TABLE, mask_path
from schemas.vocabulary import LANGUAGE
from stages.core.engine.progress import Progress, Task
from stages.core.media.mask_png import encode_mask
from stages.core.media.spans import Span
from stages.core.model.backbones.preprocess import resize_frames
from stages.extract_frames.streaming import Stream
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.segmenter import OnlineSegmenter
from stages.tools.render.config import RenderConfig
from stages.tools.render.live_overlay import LiveOverlay
from stages.tools.render.timestamps import stream_timestamps
from stages.tools.render.writing import write_mp4
from stages.tools.segment.results import describe_spans
from stages.tools.segment.stream_tables import (
    live_propagation,
    live_segments,
    segment_rows,
)

UNKNOWN_FPS = 6.0
"""Rate of an overlay where nobody says one; MeViS was cut to about this."""
MOST_SPANS = 20
"""Moments of a sentence that the summary lists."""

MakeSegmenter = Callable[[tuple[int, int]], OnlineSegmenter]
"""From (H, W) of the frames."""
Sink = Callable[[FrameResult], None]


@dataclass(frozen=True)
class Outputs:
    """Where a stream's results are written while they come.

    Attributes:
        overlay: an mp4.
        masks: an empty folder for PNGs and their propagation table, or none.
        table: a Parquet file of moments and masks, or none.
    """

    overlay: Path
    masks: Path | None = None
    table: Path | None = None


@dataclass
class Tally:
    """One sentence's result, as far as a summary needs it.

    Attributes:
        moments: half-open spans that the sentence guided, the first of them.
        seen: frames with a mask.
        more: moments that are not listed.
    """

    moments: list[Span] = field(default_factory=list)
    seen: int = 0
    more: int = 0
    _last: int = -1

    def add(self, frame: int, *, guided: bool, seen: bool) -> None:
        """The next frame."""
        self.seen += seen
        if not guided:
            return
        goes_on, self._last = self._last == frame - 1 and frame > 0, frame
        if self.more and goes_on:
            return
        if goes_on and self.moments:
            self.moments[-1] = (self.moments[-1][0], frame + 1)
        elif len(self.moments) < MOST_SPANS:
            self.moments.append((frame, frame + 1))
        else:
            self.more += 1


class _Answered(NamedTuple):
    """A frame that is worked: its pixels uint8 (H, W, 3), its time if it has one, its masks."""

    picture: np.ndarray
    seconds: float | None
    answer: FrameResult


class LiveRun:
    """One stream from its first frame to its last.

    Args:
        stream: of frames.
        name: of the video, for folders and tables.
        sentences: what is segmented.
        make: makes the segmenter once the frames' size is known.

    Attributes:
        frames: whose answers have left.
        failure: why the stream broke off, if it did.
    """

    def __init__(self, stream: Stream, name: str, sentences: Sequence[str], make: MakeSegmenter):
        self.frames = 0
        self.failure: TglError | None = None
        self.tallies = [Tally() for _ in sentences]
        self._stream = stream
        self._name = name
        self._sentences = sentences
        self._make = make

    def write(
        self,
        outputs: Outputs,
        rendering: RenderConfig,
        progress: Progress,
        font: Path | None = None,
    ) -> None:
        """Take all frames and write all outputs; a stream that breaks off leaves what it had.

        Raises:
            CorruptInput: not a single frame came.
        """
        with ExitStack() as stack:
            stopped = stack.enter_context(ending_on_interrupt())
            sinks = [*self._mask_sinks(outputs, stack), *self._table_sinks(outputs, stack)]
            task = stack.enter_context(progress.task("segment", None, "frame"))
            answers = self._answers(stopped)
            first = next(answers, None)
            if first is None:
                raise self.failure or CorruptInput("holds no frame", where=self._name)
            height, width, _ = first.picture.shape
            overlay = LiveOverlay(
                self._sentences, height, width, rendering, note=self._name, font=font
            )
            saved = self._saved(chain([first], answers), sinks, task)
            fps = rendering.fps or self._stream.fps or UNKNOWN_FPS
            times = None
            if first.seconds is not None and not rendering.fps:
                # A frame is written once the time of the next one is known.
                saved, ahead = tee(saved)
                stamps = (answered.seconds for answered in ahead)
                times = stream_timestamps(stamps, 1 / fps, partial(self._warn, progress))
            drawn = _drawn(saved, overlay)
            write_mp4(outputs.overlay, drawn, overlay.size, fps, rendering.quality, times)

    def lines(self) -> Iterator[str]:
        """A line for every sentence: when it holds, and in how many frames something is seen."""
        for sentence, tally in zip(self._sentences, self.tallies, strict=True):
            line = describe_spans(
                sentence, tally.moments, tally.seen, frames=self.frames, fps=self._stream.fps
            )
            yield f"{line}, {tally.more} more moments" if tally.more else line

    def _answers(self, stopped: Callable[[], bool]) -> Iterator[_Answered]:
        """Every frame with what is said of it, as soon as it is said."""
        waiting: deque[tuple[np.ndarray, float | None]] = deque()
        segmenter: OnlineSegmenter | None = None
        try:
            for picture in self._stream:
                if segmenter is None:
                    segmenter = self._make((picture.shape[0], picture.shape[1]))
                waiting.append((picture, self._stream.seconds))
                for answer in segmenter.push(resize_frames(picture[None], segmenter.side)[0]):
                    yield _Answered(*waiting.popleft(), answer)
                if stopped():
                    break
        except (CorruptInput, MissingInput) as error:
            self.failure = error
        if segmenter is not None:
            for answer in segmenter.finish():
                yield _Answered(*waiting.popleft(), answer)

    def _saved(
        self, answers: Iterator[_Answered], sinks: Sequence[Sink], task: Task
    ) -> Iterator[_Answered]:
        """The same frames, each after its masks and rows are written and counted."""
        for answered in answers:
            for sink in sinks:
                sink(answered.answer)
            self._count(answered.answer)
            task.advance()
            yield answered

    def _warn(self, progress: Progress, message: str) -> None:
        progress.warn(f"{self._name}: {message}")

    def _mask_sinks(self, outputs: Outputs, stack: ExitStack) -> Iterator[Sink]:
        """PNGs, and the table that belongs to them."""
        if outputs.masks is None:
            return
        root = outputs.masks
        names = [str(row) for row in range(len(self._sentences))]
        for name in names:
            (root / self._name / name).mkdir(parents=True)
        table = stack.enter_context(live_propagation(root / PROPAGATION_TABLE))

        def save(answer: FrameResult) -> None:
            for name, mask in zip(names, answer.masks, strict=True):
                path = mask_path(root, self._name, name, self._stream.name(answer.frame))
                path.write_bytes(encode_mask(mask))
            table.add(answer.rows(self._name, names).table())

        yield save

    def _table_sinks(self, outputs: Outputs, stack: ExitStack) -> Iterator[Sink]:
        """The table of spans and masks."""
        if outputs.table is None:
            return
        table = stack.enter_context(live_segments(outputs.table))

        def add(answer: FrameResult) -> None:
            name = self._stream.name(answer.frame)
            table.add(segment_rows(self._name, self._sentences, answer, name))

        yield add

    def _count(self, answer: FrameResult) -> None:
        self.frames += 1
        for tally, mask, route in zip(self.tallies, answer.masks, answer.routes, strict=True):
            tally.add(answer.frame, guided=route == LANGUAGE, seen=bool(mask.any()))


def _drawn(answers: Iterator[_Answered], overlay: LiveOverlay) -> Iterator[np.ndarray]:
    """The overlay's frames, uint8 RGB."""
    for picture, _, answer in answers:
        guided = [route == LANGUAGE for route in answer.routes]
        yield overlay.draw(answer.frame, picture, answer.masks, guided)


@contextmanager
def ending_on_interrupt() -> Iterator[Callable[[], bool]]:
    """While it lasts, the first Ctrl-C asks for the end of the stream; the second one interrupts.

    Yields:
        Whether the end was asked for.
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
