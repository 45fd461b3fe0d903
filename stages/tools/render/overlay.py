"""Overlays: predictions drawn over every frame of a video, or over a sheet of frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from schemas.vocabulary import BEST_FRAME
from stages.core.media.palette import (
    AGREEMENT,
    BACKGROUND,
    EXTRA,
    MISSED,
    SPAN,
    TEXT,
    Colour,
    sentence_colour,
)
from stages.tools.render.config import RenderConfig
from stages.tools.render.drawing import CUTOUT, DrawingConfig
from stages.tools.render.painting.painter import FramePainter
from stages.tools.render.panel import Curve, LegendEntry, Panel, PanelContent, Timeline
from stages.tools.render.source import PredictedExpression, RenderVideo
from stages.tools.render.text import Face

# Small videos grow by whole factors to at least the first side, large ones shrink to the second.
_SIDE_OF_VIDEO = 360
_LARGEST_SIDE_OF_VIDEO = 1080
_SIDE_OF_CELL = 256
_CELL_GAP = 6
_PIXELS_PER_LABEL_POINT = 16
_SMALLEST_LABEL = 12
_TICKS = 6


@dataclass(frozen=True)
class Overlay:
    """One rendered file: expressions of a video and how they are drawn.

    Attributes:
        against_truth: compare the only expression with the ground truth.
    """

    video: RenderVideo
    expressions: tuple[PredictedExpression, ...]
    against_truth: bool
    config: RenderConfig
    font: Path | None = None

    @property
    def file_stem(self) -> str:
        """Name of the file in the video's folder, without suffix."""
        if self.against_truth or (self.config.style == CUTOUT and self.config.compare == "auto"):
            return self.expressions[0].expression_id
        first, last = self.expressions[0].expression_id, self.expressions[-1].expression_id
        return f"sentences-{first}" if first == last else f"sentences-{first}-to-{last}"

    def frames(
        self,
        on_frame: Callable[[], None],
        *,
        side: int | None = None,
        chosen: Sequence[int] | None = None,
    ) -> tuple[tuple[int, int], Iterator[np.ndarray]]:
        """Draw frames of the video.

        Args:
            on_frame: called for every frame drawn.
            side: shorter side in pixels; None takes that of the settings.
            chosen: the frames; None draws all.

        Returns:
            (height, width), and the frames as uint8 RGB, of a cut-out RGBA.
        """
        painter = self._painter(side or self._side, on_frame)
        last = len(self.video.frames) - 1
        numbers = range(last + 1) if chosen is None else chosen
        if self.config.frame_alone:
            size = painter.height, painter.width
            return size, (painter.paint(frame) for frame in numbers)
        panel = Panel(self._content(), painter.height, painter.width, self.font)
        digits = len(str(last))
        composed = (
            panel.compose(painter.paint(frame), (frame,), f"frame {frame:{digits}d} / {last}")
            for frame in numbers
        )
        return panel.size, composed

    def sheet(self, on_frame: Callable[[], None]) -> np.ndarray:
        """Draw frames spread evenly over the video in one image."""
        chosen = evenly_spaced(len(self.video.frames), self.config.cells)
        alone = len(chosen) == 1
        side = self._side if alone else self.config.short_side or _SIDE_OF_CELL
        painter = self._painter(side, on_frame)
        if alone:
            cells = [painter.paint(chosen[0])]
        else:
            face = Face(max(_SMALLEST_LABEL, painter.height // _PIXELS_PER_LABEL_POINT))
            cells = [_numbered(painter, frame, face) for frame in chosen]
        sheet = tile(cells, min(self.config.columns, len(cells)))
        if self.config.frame_alone:
            return sheet
        panel = Panel(self._content(), sheet.shape[0], sheet.shape[1], self.font)
        return panel.compose(sheet, chosen)

    @property
    def _side(self) -> int:
        return video_side(self.video.height, self.video.width, self.config)

    def _painter(self, side: int, on_frame: Callable[[], None]) -> FramePainter:
        truth = self.video.truth if self.against_truth else None
        return FramePainter(
            self.video,
            self.expressions,
            truth,
            self.config,
            side,
            font=self.font,
            on_frame=on_frame,
        )

    def _content(self) -> PanelContent:
        note, ticks = self.video.video_id, time_ticks(self.video)
        if self.against_truth:
            expression = self.expressions[0]
            return PanelContent(
                (_caption(expression),),
                _truth_timelines(expression),
                _LEGEND,
                f"{note} / {self.file_stem}",
                _curves((expression,), [SPAN]),
                ticks,
            )
        colours = [sentence_colour(number) for number in range(len(self.expressions))]
        numbered = len(self.expressions) > 1
        captions = tuple(
            LegendEntry(_caption(expression, numbered=numbered), colour)
            for expression, colour in zip(self.expressions, colours, strict=True)
        )
        if len(self.video.frames) == 1:
            return PanelContent(captions, (), (), note)
        timelines = _sentence_timelines(self.expressions, captions)
        return PanelContent(
            captions, timelines, (), note, _curves(self.expressions, colours), ticks
        )


def _caption(expression: PredictedExpression, *, numbered: bool = False) -> str:
    """The sentence; with its number if that stands beside its bar, and if nothing was found or no
    moment was predicted."""
    number = f"{expression.expression_id}: " if numbered else ""
    remark = ""
    if expression.found is False:
        remark = " (nothing found)"
    elif not expression.predicted:
        remark = f" (no moment predicted, {BEST_FRAME} instead)"
    return f"{number}{expression.sentence}{remark}"


def _curves(
    expressions: Sequence[PredictedExpression], colours: Sequence[Colour]
) -> tuple[Curve, ...]:
    return tuple(
        Curve(expression.relevance, colour)
        for expression, colour in zip(expressions, colours, strict=True)
        if expression.relevance is not None and len(expression.relevance) > 1
    )


def time_ticks(video: RenderVideo) -> tuple[tuple[float, str], ...]:
    """Ticks of the time axis of a video: in seconds if they are known, else in frames."""
    frames = len(video.frames)
    if video.times is not None:
        start = video.times[0]
        seconds = [time - start for time in video.times]
        marks = _round_steps(seconds[-1])
        places = np.interp(marks, seconds, np.arange(frames))
        return tuple((float(x), f"{t:g} s") for x, t in zip(places, marks, strict=True))
    if video.fps:
        return tuple((t * video.fps, f"{t:g} s") for t in _round_steps((frames - 1) / video.fps))
    return tuple((t, f"{t:g}") for t in _round_steps(frames - 1) if t == int(t))


def _round_steps(last: float) -> list[float]:
    """About five round numbers from 0 to `last`."""
    if last <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(last / _TICKS))
    step = next(k * power for k in (1, 2, 5, 10) if last / (k * power) <= _TICKS)
    return [round(step * k, 9) for k in range(int(last / step + 1e-9) + 1)]


_LEGEND = (
    LegendEntry("agreement", AGREEMENT),
    LegendEntry("missed", MISSED, hatched=True),
    LegendEntry("extra", EXTRA),
)


def evenly_spaced(frames: int, wanted: int) -> list[int]:
    """At most `wanted` frames, spread evenly from first to last; a single one is the middle."""
    if wanted == 1:
        return [frames // 2]
    chosen = np.linspace(0, frames - 1, min(wanted, frames))
    return [int(frame) for frame in chosen.round()]


def tile(cells: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Arrange images of one size in rows of `columns`, uint8 (H, W, 3)."""
    height, width, _ = cells[0].shape
    rows = -(-len(cells) // columns)
    shape = (rows * (height + _CELL_GAP) - _CELL_GAP, columns * (width + _CELL_GAP) - _CELL_GAP, 3)
    sheet = np.empty(shape, dtype=np.uint8)
    sheet[:] = BACKGROUND
    for number, cell in enumerate(cells):
        top = number // columns * (height + _CELL_GAP)
        left = number % columns * (width + _CELL_GAP)
        sheet[top : top + height, left : left + width] = cell
    return sheet


def _numbered(painter: FramePainter, frame: int, face: Face) -> np.ndarray:
    """Paint a frame with its number in a small dark box in the corner."""
    label, pad = str(frame), face.size // 3
    box = (0, 0, face.width(label) + 2 * pad, face.line_height)
    canvas = Image.fromarray(painter.paint(frame, taken=(box,)))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle(box, BACKGROUND)
    draw.text((pad, 0), label, TEXT, face.font)
    return np.asarray(canvas)


def video_side(height: int, width: int, config: DrawingConfig) -> int:
    """Shorter side of a frame of a video, in pixels."""
    side = min(height, width)
    if config.short_side:
        return config.short_side
    if config.frame_alone:
        return side
    if side < _SIDE_OF_VIDEO:
        return side * -(-_SIDE_OF_VIDEO // side)
    return min(side, _LARGEST_SIDE_OF_VIDEO)


def _truth_timelines(expression: PredictedExpression) -> tuple[Timeline, ...]:
    """Annotated moments, and frames on the language path in the colours of the comparison."""
    timelines = []
    if expression.annotated is not None:
        timelines.append(Timeline("annotated", _coloured(expression.annotated, SPAN)))
    if expression.routed is not None:
        colours = _coloured(expression.routed, SPAN)
        if expression.annotated is not None:
            colours = tuple(
                map(_comparison_colour, expression.routed.tolist(), expression.annotated.tolist())
            )
        label = "routed" if expression.predicted else BEST_FRAME
        timelines.append(Timeline(label, colours, hatched=MISSED))
    return tuple(timelines)


def _comparison_colour(routed: bool, annotated: bool) -> Colour | None:
    if routed:
        return AGREEMENT if annotated else EXTRA
    return MISSED if annotated else None


def _sentence_timelines(
    expressions: Sequence[PredictedExpression], captions: Sequence[LegendEntry]
) -> tuple[Timeline, ...]:
    """A timeline per sentence: frames on the language path, else annotated moments.

    Of an object that was prompted by hand, the frames in which it is visible.
    """
    timelines = []
    for expression, caption in zip(expressions, captions, strict=True):
        moments = expression.routed if expression.routed is not None else expression.annotated
        if moments is not None:
            colours = _coloured(moments, caption.colour)
            kind = "visible" if expression.prompted else "moment"
            name = expression.expression_id  # before the words: "best frame 0" would be that frame
            label = f"{kind} {name}" if expression.predicted else f"{name}: {BEST_FRAME}"
            timelines.append(Timeline(label, colours, caption.colour))
    return tuple(timelines)


def _coloured(frames: np.ndarray, colour: Colour) -> tuple[Colour | None, ...]:
    """`colour` where bool (T,) is True, None elsewhere."""
    return tuple(colour if inside else None for inside in frames.tolist())
