"""The panel around a frame: captions above it, timelines and legend below.

The parts that do not change from frame to frame are drawn once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stages.core.media.palette import BACKGROUND, MARKER, MUTED, TEXT, TRACK, Colour
from stages.tools.render.text import Face

_PIXELS_PER_POINT = 38
_SMALLEST_FACE, _LARGEST_FACE = 13, 28
_SMALL_FACE = 0.86
_NARROWEST = 320
_LABEL_SHARE = 0.3
_CAPTION_LINES = 3
_SENTENCE_LINES = 2
_CURVE_LINES = 2
_CURVE_LABEL = "relevance"


@dataclass(frozen=True)
class LegendEntry:
    """A coloured square and its label."""

    label: str
    colour: Colour
    hatched: bool = False


@dataclass(frozen=True)
class Timeline:
    """A bar that shows spans of the video.

    Attributes:
        colours: one per frame, None outside the spans.
        label_colour: None takes a muted one.
        hatched: a colour that is drawn as stripes.
    """

    label: str
    colours: tuple[Colour | None, ...]
    label_colour: Colour | None = None
    hatched: Colour | None = None


@dataclass(frozen=True)
class Curve:
    """A value from 0 to 1 per frame, NaN where it is not known."""

    values: np.ndarray
    colour: Colour


@dataclass(frozen=True)
class PanelContent:
    """Texts, bars and colours of a panel.

    Attributes:
        captions: sentences; with a colour where each is drawn in its own.
        timelines: all of the same number of frames.
        legend: meaning of the masks' colours.
        curves: drawn over each other above the timelines, of as many frames.
        ticks: of the time axis below the timelines: positions in frames, and their labels.
        note: text at the end of the legend, such as the video's name.
    """

    captions: tuple[LegendEntry | str, ...]
    timelines: tuple[Timeline, ...]
    legend: tuple[LegendEntry, ...]
    note: str = ""
    curves: tuple[Curve, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()


class Panel:
    """Composes frames of one size with the same captions, timelines and legend.

    Args:
        height, width: of the frames, in pixels.
        font: see :class:`stages.tools.render.text.Face`.
    """

    def __init__(self, content: PanelContent, height: int, width: int, font: Path | None = None):
        self._content = content
        self._image_size = (height, width)
        self._inner = max(width, _NARROWEST)
        size = round(min(max(self._inner / _PIXELS_PER_POINT, _SMALLEST_FACE), _LARGEST_FACE))
        self._face = Face(size, font)
        self._small = Face(max(_SMALLEST_FACE - 1, round(size * _SMALL_FACE)), font)
        self._gap = max(4, size // 2)
        self._texts = [self._wrapped(caption) for caption in content.captions]
        self._columns = self._timeline_columns()
        self._base = self._draw_base()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what :meth:`compose` returns, both even, as video encoders need."""
        return self._base.height, self._base.width

    def compose(
        self,
        image: np.ndarray,
        marks: Sequence[int],
        counter: str = "",
        timelines: Sequence[Timeline] = (),
    ) -> np.ndarray:
        """Draw the panel around an image, uint8 RGB of :attr:`size`.

        Args:
            image: uint8 (H, W, 3) of the size given to the constructor.
            marks: frames to mark on the timelines, those that the image shows.
            counter: text at the right of the legend, such as `frame 12`.
            timelines: drawn over those of the content, where they change from frame to frame.
        """
        canvas = self._base.copy()
        draw = ImageDraw.Draw(canvas)
        for row, timeline in enumerate(timelines):
            self._draw_spans(draw, timeline, self._timelines_top + row * self._timeline_height)
        left = (canvas.width - self._image_size[1]) // 2
        canvas.paste(Image.fromarray(image), (left, self._image_top))
        for mark in marks:
            self._draw_mark(draw, mark)
        if counter:
            x = canvas.width - self._gap - self._small.width(counter)
            draw.text((x, self._legend_top), counter, MUTED, self._small.font)
        return np.asarray(canvas)

    @property
    def _swatch(self) -> int:
        return self._face.cap_height + 2

    @property
    def _timeline_height(self) -> int:
        return self._small.line_height

    def _wrapped(self, caption: LegendEntry | str) -> list[str]:
        width = self._inner - 2 * self._gap
        if isinstance(caption, str):
            return self._face.wrap(caption, width, _CAPTION_LINES)
        return self._face.wrap(caption.label, width - self._swatch - self._gap, _SENTENCE_LINES)

    def _timeline_columns(self) -> tuple[int, int]:
        """Columns of the timelines' left and right ends."""
        labels = [self._small.transliterate(bar.label) for bar in self._content.timelines]
        widest = max(map(self._small.width, labels), default=0)
        widest = min(widest, round(self._inner * _LABEL_SHARE))
        return 2 * self._gap + widest, self._inner - self._gap

    def _draw_base(self) -> Image.Image:
        """Lay everything out and draw the parts that never change."""
        caption_lines = sum(map(len, self._texts))
        captions = caption_lines * self._face.line_height
        self._image_top = captions + 2 * self._gap if caption_lines else 0
        self._curves_top = self._image_top + self._image_size[0] + self._gap
        curves = _CURVE_LINES * self._small.line_height if self._content.curves else 0
        self._timelines_top = self._curves_top + curves
        timelines = len(self._content.timelines) * self._timeline_height
        self._axis_top = self._timelines_top + timelines
        axis = self._small.line_height if timelines and self._content.ticks else 0
        self._legend_top = self._axis_top + axis + (self._gap // 2 if timelines else 0)
        rows = self._legend_rows()
        height = self._legend_top + len(rows) * self._small.line_height + self._gap
        canvas = Image.new("RGB", (_even(self._inner), _even(height)), BACKGROUND)
        draw = ImageDraw.Draw(canvas)
        self._draw_captions(draw)
        for row, timeline in enumerate(self._content.timelines):
            self._draw_timeline(draw, timeline, self._timelines_top + row * self._timeline_height)
        if curves:
            self._draw_curves(draw, curves)
        if axis:
            self._draw_axis(draw)
        self._draw_legend(draw, rows)
        return canvas

    def _draw_captions(self, draw: ImageDraw.ImageDraw) -> None:
        y = self._gap
        for caption, lines in zip(self._content.captions, self._texts, strict=True):
            x = self._gap
            if isinstance(caption, LegendEntry):
                _draw_swatch(draw, x, y + self._face.cap_top - 1, self._swatch, caption)
                x += self._swatch + self._gap
            for line in lines:
                draw.text((x, y), line, TEXT, self._face.font)
                y += self._face.line_height

    def _draw_timeline(self, draw: ImageDraw.ImageDraw, timeline: Timeline, y: int) -> None:
        left, _ = self._columns
        label = self._small.shorten(timeline.label, left - 2 * self._gap)
        draw.text((self._gap, y), label, timeline.label_colour or MUTED, self._small.font)
        self._draw_spans(draw, timeline, y)

    def _draw_curves(self, draw: ImageDraw.ImageDraw, height: int) -> None:
        """Draw the curves between 0, at the bottom, and 1."""
        left, right = self._columns
        top, bottom = self._curves_top, self._curves_top + height - self._gap
        label = self._small.shorten(_CURVE_LABEL, left - 2 * self._gap)
        middle = (top + bottom - self._small.line_height) // 2
        draw.text((self._gap, middle), label, MUTED, self._small.font)
        for y in (top, bottom):
            draw.line((left, y, right - 1, y), TRACK)
        for curve in self._content.curves:
            frames = len(curve.values)
            points = [
                ((self._column(frame, frames) + self._column(frame + 1, frames)) // 2, value)
                for frame, value in enumerate(curve.values.tolist())
            ]
            for (x, value), (next_x, next_value) in pairwise(points):
                if not math.isnan(value + next_value):
                    ends = [round(bottom - (bottom - top) * v) for v in (value, next_value)]
                    draw.line((x, ends[0], next_x, ends[1]), curve.colour, max(1, self._gap // 4))

    def _draw_axis(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw ticks and their labels; a label that would run into the one before is left out."""
        left, right = self._columns
        frames = len(self._content.timelines[0].colours)
        end = 0
        for frame, label in self._content.ticks:
            x = left + round((right - left) * frame / frames)
            draw.line((x, self._axis_top, x, self._axis_top + self._gap // 2), MUTED)
            width = self._small.width(label)
            start = min(max(x - width // 2, left), right - width)
            if start > end:
                draw.text((start, self._axis_top + self._gap // 4), label, MUTED, self._small.font)
                end = start + width + self._gap

    def _draw_spans(self, draw: ImageDraw.ImageDraw, timeline: Timeline, y: int) -> None:
        left, right = self._columns
        top, bottom = self._bar(y)
        draw.rectangle((left, top, right - 1, bottom), TRACK)
        frames = len(timeline.colours)
        for start, end, colour in colour_runs(timeline.colours):
            first = self._column(start, frames)
            box = (first, top, max(first, self._column(end, frames) - 1), bottom)
            if colour == timeline.hatched:
                _hatch(draw, box, colour, max(2, (bottom - top) // 2))
            else:
                draw.rectangle(box, colour)

    def _bar(self, y: int) -> tuple[int, int]:
        thickness = max(5, self._small.size // 2)
        top = y + self._small.cap_top + (self._small.cap_height - thickness) // 2
        return top, top + thickness - 1

    def _column(self, frame: int, frames: int) -> int:
        left, right = self._columns
        return left + round((right - left) * frame / frames)

    def _draw_mark(self, draw: ImageDraw.ImageDraw, frame: int) -> None:
        if not self._content.timelines:
            return
        frames = len(self._content.timelines[0].colours)
        first, last = self._column(frame, frames), self._column(frame + 1, frames)
        middle = (first + last) // 2
        half = max(1, self._small.size // 12)
        top = self._bar(self._timelines_top)[0] - half - 1
        end = self._bar(
            self._timelines_top + (len(self._content.timelines) - 1) * self._timeline_height
        )[1]
        draw.rectangle((middle - half - 1, top - 1, middle + half + 1, end + half + 2), BACKGROUND)
        draw.rectangle((middle - half, top, middle + half, end + half + 1), MARKER)

    def _legend_rows(self) -> list[list[tuple[int, LegendEntry | str]]]:
        """Legend entries with their left edge, broken into rows."""
        entries: list[LegendEntry | str] = [*self._content.legend]
        if self._content.note:
            entries.append(self._content.note)
        rows: list[list[tuple[int, LegendEntry | str]]] = [[]]
        x = self._gap
        # The first row leaves room at its end for the counter.
        limit = self._inner - self._gap - self._small.width("frame 00000")
        for entry in entries:
            label = entry if isinstance(entry, str) else entry.label
            extra = 0 if isinstance(entry, str) else self._small.cap_height + 2 + self._gap // 2
            width = extra + self._small.width(self._small.shorten(label, self._room(extra)))
            if rows[-1] and x + width > limit:
                rows.append([])
                x, limit = self._gap, self._inner - self._gap
            rows[-1].append((x, entry))
            x += width + 2 * self._gap
        return rows

    def _room(self, extra: int) -> int:
        return self._inner - 2 * self._gap - extra

    def _draw_legend(
        self, draw: ImageDraw.ImageDraw, rows: list[list[tuple[int, LegendEntry | str]]]
    ) -> None:
        for number, row in enumerate(rows):
            y = self._legend_top + number * self._small.line_height
            for x, entry in row:
                if isinstance(entry, str):
                    text = self._small.shorten(entry, self._room(0))
                    draw.text((x, y), text, MUTED, self._small.font)
                    continue
                side = self._small.cap_height + 2
                _draw_swatch(draw, x, y + self._small.cap_top - 1, side, entry)
                text = self._small.shorten(entry.label, self._room(side + self._gap // 2))
                draw.text((x + side + self._gap // 2, y), text, TEXT, self._small.font)


def colour_runs(colours: Sequence[Colour | None]) -> list[tuple[int, int, Colour]]:
    """Half-open runs of equal colours as (start, end, colour), without those of None."""
    runs: list[tuple[int, int, Colour]] = []
    for frame, colour in enumerate(colours):
        if colour is None:
            continue
        if runs and runs[-1][1] == frame and runs[-1][2] == colour:
            runs[-1] = (runs[-1][0], frame + 1, colour)
        else:
            runs.append((frame, frame + 1, colour))
    return runs


def _draw_swatch(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, entry: LegendEntry) -> None:
    box = (x, y, x + side - 1, y + side - 1)
    if entry.hatched:
        _hatch(draw, box, entry.colour, max(2, side // 4))
        draw.rectangle(box, outline=entry.colour)
    else:
        draw.rectangle(box, entry.colour)


def _hatch(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour, stripe: int
) -> None:
    """Fill a box, given by its corner pixels, with diagonal stripes."""
    left, top, right, bottom = box
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if ((x + y) // stripe) % 2 == 0:
                draw.point((x, y), colour)


def _even(length: int) -> int:
    return length + length % 2
