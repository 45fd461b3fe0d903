"""The sheet around a picture: sentences above it, moment bars and legend below.

All that stays the same from frame to frame is drawn once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stages.tools.render.palette import BACKGROUND, MARKER, MUTED, TEXT, TRACK, Colour
from stages.tools.render.text import Face

_PIXELS_PER_POINT = 38
_SMALLEST_FACE, _LARGEST_FACE = 13, 28
_SMALL_FACE = 0.86
_NARROWEST = 320
_LABEL_SHARE = 0.3
_CAPTION_LINES = 3
_SENTENCE_LINES = 2


@dataclass(frozen=True)
class Key:
    """A coloured square and what it stands for."""

    label: str
    colour: Colour
    hatched: bool = False


@dataclass(frozen=True)
class Lane:
    """A bar over the video's frames.

    Attributes:
        colours: one for every frame, None where nothing holds.
        key: colour of the label.
        hatched: that of `colours` which is drawn as stripes.
    """

    label: str
    colours: tuple[Colour | None, ...]
    key: Colour | None = None
    hatched: Colour | None = None


@dataclass(frozen=True)
class Content:
    """What stands around a picture.

    Attributes:
        captions: sentences; with a colour where each is painted in its own.
        lanes: bars, all over the same number of frames.
        legend: what the colours of the picture mean.
        note: a word at the end of the legend's line, such as the video's name.
    """

    captions: tuple[Key | str, ...]
    lanes: tuple[Lane, ...]
    legend: tuple[Key, ...]
    note: str = ""


class Panel:
    """Frames of one size with the same surroundings.

    Args:
        height, width: of the picture, in pixels.
        font: see :class:`stages.tools.render.text.Face`.
    """

    def __init__(self, content: Content, height: int, width: int, font: Path | None = None):
        self._content = content
        self._picture = (height, width)
        self._inner = max(width, _NARROWEST)
        size = round(min(max(self._inner / _PIXELS_PER_POINT, _SMALLEST_FACE), _LARGEST_FACE))
        self._face = Face(size, font)
        self._small = Face(max(_SMALLEST_FACE - 1, round(size * _SMALL_FACE)), font)
        self._gap = max(4, size // 2)
        self._texts = [self._wrapped(caption) for caption in content.captions]
        self._columns = self._lane_columns()
        self._base = self._draw_base()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what :meth:`compose` returns, both even, as video coders need."""
        return self._base.height, self._base.width

    def compose(
        self,
        picture: np.ndarray,
        marks: Sequence[int],
        counter: str = "",
        lanes: Sequence[Lane] = (),
    ) -> np.ndarray:
        """The whole as uint8 RGB of :attr:`size`.

        Args:
            picture: uint8 (H, W, 3) of the size that the panel was made for.
            marks: frames that the picture shows, marked on the bars.
            counter: a word at the right of the legend's line, such as `frame 12`.
            lanes: bars over those of the content, where they change from frame to frame.
        """
        canvas = self._base.copy()
        draw = ImageDraw.Draw(canvas)
        for row, lane in enumerate(lanes):
            self._draw_spans(draw, lane, self._lanes_top + row * self._lane_height)
        left = (canvas.width - self._picture[1]) // 2
        canvas.paste(Image.fromarray(picture), (left, self._picture_top))
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
    def _lane_height(self) -> int:
        return self._small.line_height

    def _wrapped(self, caption: Key | str) -> list[str]:
        width = self._inner - 2 * self._gap
        if isinstance(caption, str):
            return self._face.wrap(caption, width, _CAPTION_LINES)
        return self._face.wrap(caption.label, width - self._swatch - self._gap, _SENTENCE_LINES)

    def _lane_columns(self) -> tuple[int, int]:
        """Left and right end of the bars."""
        labels = [self._small.width(self._small.spell(x.label)) for x in self._content.lanes]
        widest = min(max(labels, default=0), round(self._inner * _LABEL_SHARE))
        return 2 * self._gap + widest, self._inner - self._gap

    def _draw_base(self) -> Image.Image:
        """Lay everything out and draw what never changes."""
        caption_lines = sum(map(len, self._texts))
        captions = caption_lines * self._face.line_height
        self._picture_top = captions + 2 * self._gap if caption_lines else 0
        self._lanes_top = self._picture_top + self._picture[0] + self._gap
        lanes = len(self._content.lanes) * self._lane_height
        self._legend_top = self._lanes_top + lanes + (self._gap // 2 if lanes else 0)
        rows = self._legend_rows()
        height = self._legend_top + len(rows) * self._small.line_height + self._gap
        canvas = Image.new("RGB", (_even(self._inner), _even(height)), BACKGROUND)
        draw = ImageDraw.Draw(canvas)
        self._draw_captions(draw)
        for row, lane in enumerate(self._content.lanes):
            self._draw_lane(draw, lane, self._lanes_top + row * self._lane_height)
        self._draw_legend(draw, rows)
        return canvas

    def _draw_captions(self, draw: ImageDraw.ImageDraw) -> None:
        y = self._gap
        for caption, lines in zip(self._content.captions, self._texts, strict=True):
            x = self._gap
            if isinstance(caption, Key):
                _draw_swatch(draw, x, y + self._face.cap_top - 1, self._swatch, caption)
                x += self._swatch + self._gap
            for line in lines:
                draw.text((x, y), line, TEXT, self._face.font)
                y += self._face.line_height

    def _draw_lane(self, draw: ImageDraw.ImageDraw, lane: Lane, y: int) -> None:
        left, _ = self._columns
        label = self._small.clip(lane.label, left - 2 * self._gap)
        draw.text((self._gap, y), label, lane.key or MUTED, self._small.font)
        self._draw_spans(draw, lane, y)

    def _draw_spans(self, draw: ImageDraw.ImageDraw, lane: Lane, y: int) -> None:
        left, right = self._columns
        top, bottom = self._bar(y)
        draw.rectangle((left, top, right - 1, bottom), TRACK)
        frames = len(lane.colours)
        for start, end, colour in runs(lane.colours):
            first = self._column(start, frames)
            box = (first, top, max(first, self._column(end, frames) - 1), bottom)
            if colour == lane.hatched:
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
        if not self._content.lanes:
            return
        frames = len(self._content.lanes[0].colours)
        first, last = self._column(frame, frames), self._column(frame + 1, frames)
        middle = (first + last) // 2
        half = max(1, self._small.size // 12)
        top = self._bar(self._lanes_top)[0] - half - 1
        end = self._bar(self._lanes_top + (len(self._content.lanes) - 1) * self._lane_height)[1]
        draw.rectangle((middle - half - 1, top - 1, middle + half + 1, end + half + 2), BACKGROUND)
        draw.rectangle((middle - half, top, middle + half, end + half + 1), MARKER)

    def _legend_rows(self) -> list[list[tuple[int, Key | str]]]:
        """Legend entries with their left edge, broken into rows."""
        entries: list[Key | str] = [*self._content.legend]
        if self._content.note:
            entries.append(self._content.note)
        rows: list[list[tuple[int, Key | str]]] = [[]]
        x = self._gap
        # The first row leaves room at its end for the counter.
        limit = self._inner - self._gap - self._small.width("frame 00000")
        for entry in entries:
            label = entry if isinstance(entry, str) else entry.label
            extra = 0 if isinstance(entry, str) else self._small.cap_height + 2 + self._gap // 2
            width = extra + self._small.width(self._small.clip(label, self._room(extra)))
            if rows[-1] and x + width > limit:
                rows.append([])
                x, limit = self._gap, self._inner - self._gap
            rows[-1].append((x, entry))
            x += width + 2 * self._gap
        return rows

    def _room(self, extra: int) -> int:
        return self._inner - 2 * self._gap - extra

    def _draw_legend(
        self, draw: ImageDraw.ImageDraw, rows: list[list[tuple[int, Key | str]]]
    ) -> None:
        for number, row in enumerate(rows):
            y = self._legend_top + number * self._small.line_height
            for x, entry in row:
                if isinstance(entry, str):
                    text = self._small.clip(entry, self._room(0))
                    draw.text((x, y), text, MUTED, self._small.font)
                    continue
                side = self._small.cap_height + 2
                _draw_swatch(draw, x, y + self._small.cap_top - 1, side, entry)
                text = self._small.clip(entry.label, self._room(side + self._gap // 2))
                draw.text((x + side + self._gap // 2, y), text, TEXT, self._small.font)


def runs(colours: Sequence[Colour | None]) -> list[tuple[int, int, Colour]]:
    """Stretches of one colour as (start, end, colour), half-open; those without are left out."""
    found: list[tuple[int, int, Colour]] = []
    for frame, colour in enumerate(colours):
        if colour is None:
            continue
        if found and found[-1][1] == frame and found[-1][2] == colour:
            found[-1] = (found[-1][0], frame + 1, colour)
        else:
            found.append((frame, frame + 1, colour))
    return found


def _draw_swatch(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, key: Key) -> None:
    box = (x, y, x + side - 1, y + side - 1)
    if key.hatched:
        _hatch(draw, box, key.colour, max(2, side // 4))
        draw.rectangle(box, outline=key.colour)
    else:
        draw.rectangle(box, key.colour)


def _hatch(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour, stripe: int
) -> None:
    """Diagonal stripes in a box given by its corner pixels."""
    left, top, right, bottom = box
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if ((x + y) // stripe) % 2 == 0:
                draw.point((x, y), colour)


def _even(length: int) -> int:
    return length + length % 2
