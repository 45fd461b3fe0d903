"""Overlays: predictions drawn over every frame of a video, or over a sheet of frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from schemas.errors import CorruptInput
from stages.core.index.masks import MaskStore
from stages.core.index.prediction_folder import read_prediction
from stages.core.media.frames import read_frame
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
from stages.core.media.rle import decode
from stages.tools.render.config import RenderConfig
from stages.tools.render.mask_layers import (
    MaskLayer,
    blend_layers,
    comparison_layers,
    resize_image,
    resize_mask,
)
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
        if self.against_truth:
            return self.expressions[0].expression_id
        first, last = self.expressions[0].expression_id, self.expressions[-1].expression_id
        return f"sentences-{first}" if first == last else f"sentences-{first}-to-{last}"

    def frames(self, on_frame: Callable[[], None]) -> tuple[tuple[int, int], Iterator[np.ndarray]]:
        """Draw every frame of the video.

        Args:
            on_frame: called for every frame drawn.

        Returns:
            (height, width), and the frames as uint8 RGB.
        """
        side = video_side(self.video.height, self.video.width, self.config)
        painter = _FramePainter(self, side, on_frame)
        panel = Panel(self._content(), painter.height, painter.width, self.font)
        last = len(self.video.frames) - 1
        digits = len(str(last))
        composed = (
            panel.compose(painter.paint(frame), (frame,), f"frame {frame:{digits}d} / {last}")
            for frame in range(last + 1)
        )
        return panel.size, composed

    def sheet(self, on_frame: Callable[[], None]) -> np.ndarray:
        """Draw frames spread evenly over the video in one image."""
        chosen = evenly_spaced(len(self.video.frames), self.config.cells)
        alone = len(chosen) == 1
        own = video_side(self.video.height, self.video.width, self.config)
        side = own if alone else _SIDE_OF_CELL
        painter = _FramePainter(self, self.config.short_side or side, on_frame)
        face = Face(max(_SMALLEST_LABEL, painter.height // _PIXELS_PER_LABEL_POINT))
        cells = [painter.paint(frame) for frame in chosen]
        if not alone:
            cells = [_labelled(c, str(t), face) for c, t in zip(cells, chosen, strict=True)]
        sheet = tile(cells, min(self.config.columns, len(cells)))
        panel = Panel(self._content(), sheet.shape[0], sheet.shape[1], self.font)
        return panel.compose(sheet, chosen)

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
    """The sentence; with its number if that stands beside its bar, and if nothing was found."""
    number = f"{expression.expression_id}: " if numbered else ""
    return f"{number}{expression.sentence}{' (nothing found)' if expression.found is False else ''}"


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


class _FramePainter:
    """Frames of a video with the masks over them, scaled to a shorter side of `side` pixels."""

    def __init__(self, overlay: Overlay, side: int, on_frame: Callable[[], None]):
        self._overlay = overlay
        self._on_frame = on_frame
        video = overlay.video
        scale = side / min(video.height, video.width)
        self.height = max(1, round(video.height * scale))
        self.width = max(1, round(video.width * scale))
        truth = video.truth if overlay.against_truth else None
        self._truth = None if truth is None else MaskStore(truth)

    def paint(self, frame: int) -> np.ndarray:
        """One frame, uint8 RGB (height, width, 3)."""
        video, expressions = self._overlay.video, self._overlay.expressions
        image = read_frame(video.frames[frame])
        if image.shape[:2] != (video.height, video.width):
            raise CorruptInput(
                f"the frame is {image.shape[1]}x{image.shape[0]} pixels, the video "
                f"{video.width}x{video.height}",
                where=video.frames[frame],
            )
        masks = [read_mask(video, expression, frame) for expression in expressions]
        if self._truth is not None:
            truth = self._true_mask(self._truth, expressions[0], frame)
            layers = comparison_layers(self._fit(masks[0]), self._fit(truth))
        else:
            layers = [
                MaskLayer(self._fit(mask), sentence_colour(i)) for i, mask in enumerate(masks)
            ]
        self._on_frame()
        image = resize_image(image, self.height, self.width)
        opacity = self._overlay.config.opacity
        return blend_layers(image, layers, opacity, dim=self._truth is not None)

    def _fit(self, mask: np.ndarray) -> np.ndarray:
        return resize_mask(mask, self.height, self.width)

    def _true_mask(
        self, store: MaskStore, expression: PredictedExpression, frame: int
    ) -> np.ndarray:
        video = self._overlay.video
        union = np.zeros((video.height, video.width), dtype=bool)
        for anno_id in expression.anno_ids:
            rle = store.rle(anno_id, frame)
            if rle is None:
                continue
            where = f"{video.truth}, anno id {anno_id}, frame {frame}"
            if tuple(rle["size"]) != union.shape:
                raise CorruptInput(
                    f"the true mask is {rle['size'][1]}x{rle['size'][0]} pixels, the video "
                    f"{video.width}x{video.height}",
                    where=where,
                )
            union |= decode(rle, where=where) > 0
        return union


def read_mask(video: RenderVideo, expression: PredictedExpression, frame: int) -> np.ndarray:
    """Read a prediction as bool (H, W); any non-zero value is foreground.

    Raises:
        MissingInput: no file for this frame.
        CorruptInput: not an image, or of another size than the video.
    """
    return read_prediction(video.mask_path(expression, frame), video.height, video.width)


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


def _labelled(image: np.ndarray, label: str, face: Face) -> np.ndarray:
    """Draw a small dark label into the corner of an image; a copy."""
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    pad = face.size // 3
    box = (0, 0, face.width(label) + 2 * pad, face.line_height)
    draw.rectangle(box, BACKGROUND)
    draw.text((pad, 0), label, TEXT, face.font)
    return np.asarray(canvas)


def video_side(height: int, width: int, config: RenderConfig) -> int:
    """Shorter side of a frame that is drawn alone, in pixels."""
    side = min(height, width)
    if config.short_side:
        return config.short_side
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
        timelines.append(Timeline("routed", colours, hatched=MISSED))
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
            timelines.append(
                Timeline(f"{kind} {expression.expression_id}", colours, caption.colour)
            )
    return tuple(timelines)


def _coloured(frames: np.ndarray, colour: Colour) -> tuple[Colour | None, ...]:
    """`colour` where bool (T,) is True, None elsewhere."""
    return tuple(colour if inside else None for inside in frames.tolist())
