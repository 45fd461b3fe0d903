"""One picture of predictions, frame by frame or as a sheet of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from schemas.errors import CorruptInput
from stages.core.index.masks import MaskStore
from stages.core.media.frames import read_frame
from stages.core.media.rle import decode
from stages.tools.render.config import RenderConfig
from stages.tools.render.paint import Layer, compare, fit_mask, fit_picture, paint
from stages.tools.render.palette import (
    AGREEMENT,
    BACKGROUND,
    EXTRA,
    MISSED,
    SPAN,
    TEXT,
    Colour,
    sentence_colour,
)
from stages.tools.render.panel import Content, Key, Lane, Panel
from stages.tools.render.source import Clip, Shot
from stages.tools.render.text import Face

# Small videos grow by whole factors to at least this side, very large ones shrink to the other.
_SIDE_OF_VIDEO = 360
_LARGEST_SIDE_OF_VIDEO = 1080
_SIDE_OF_CELL = 256
_CELL_GAP = 6
_PIXELS_PER_CHIP_POINT = 16
_SMALLEST_CHIP = 12


@dataclass(frozen=True)
class Drawing:
    """One picture: a clip, the shots in it, and how they are coloured."""

    clip: Clip
    shots: tuple[Shot, ...]
    against_truth: bool
    config: RenderConfig
    font: Path | None = None

    @property
    def file_stem(self) -> str:
        """Name of its file below the video's folder."""
        if self.against_truth:
            return self.shots[0].expression_id
        first, last = self.shots[0].expression_id, self.shots[-1].expression_id
        return f"sentences-{first}" if first == last else f"sentences-{first}-to-{last}"

    def frames(self, on_frame: Callable[[], None]) -> tuple[tuple[int, int], Iterator[np.ndarray]]:
        """(height, width) of the picture, and it for every frame of the video.

        Args:
            on_frame: called for every frame painted.
        """
        painter = _Painter(
            self, video_side(self.clip.height, self.clip.width, self.config), on_frame
        )
        panel = Panel(self._content(), painter.height, painter.width, self.font)
        last = len(self.clip.frames) - 1
        digits = len(str(last))
        composed = (
            panel.compose(painter.paint(frame), (frame,), f"frame {frame:{digits}d} / {last}")
            for frame in range(len(self.clip.frames))
        )
        return panel.size, composed

    def sheet(self, on_frame: Callable[[], None]) -> np.ndarray:
        """Frames spread evenly over the video in one picture."""
        chosen = spread(len(self.clip.frames), self.config.cells)
        alone = len(chosen) == 1
        own = video_side(self.clip.height, self.clip.width, self.config)
        side = own if alone else _SIDE_OF_CELL
        painter = _Painter(self, self.config.short_side or side, on_frame)
        chip = Face(max(_SMALLEST_CHIP, painter.height // _PIXELS_PER_CHIP_POINT))
        cells = [painter.paint(frame) for frame in chosen]
        if not alone:
            cells = [_labelled(c, str(t), chip) for c, t in zip(cells, chosen, strict=True)]
        picture = tile(cells, min(self.config.columns, len(cells)))
        panel = Panel(self._content(), picture.shape[0], picture.shape[1], self.font)
        return panel.compose(picture, chosen)

    def _content(self) -> Content:
        note = self.clip.video_id
        if self.against_truth:
            shot = self.shots[0]
            return Content(
                (shot.sentence,), _lanes_of_one(shot), _LEGEND, f"{note} / {self.file_stem}"
            )
        keys = [Key(shot.sentence, sentence_colour(i)) for i, shot in enumerate(self.shots)]
        lanes = _lanes_of_many(self.shots, keys) if len(self.clip.frames) > 1 else ()
        return Content(tuple(keys), lanes, (), note)


_LEGEND = (
    Key("agreement", AGREEMENT),
    Key("missed", MISSED, hatched=True),
    Key("extra", EXTRA),
)


class _Painter:
    """Frames of a clip with the masks over them, at the size of the picture."""

    def __init__(self, drawing: Drawing, side: int, on_frame: Callable[[], None]):
        self._drawing = drawing
        self._on_frame = on_frame
        clip = drawing.clip
        scale = side / min(clip.height, clip.width)
        self.height = max(1, round(clip.height * scale))
        self.width = max(1, round(clip.width * scale))
        self._truth = MaskStore(clip.truth) if drawing.against_truth and clip.truth else None

    def paint(self, frame: int) -> np.ndarray:
        """uint8 RGB (height, width, 3)."""
        clip = self._drawing.clip
        picture = read_frame(clip.frames[frame])
        if picture.shape[:2] != (clip.height, clip.width):
            raise CorruptInput(
                f"is {picture.shape[1]} x {picture.shape[0]} pixels, the video "
                f"{clip.width} x {clip.height}",
                where=clip.frames[frame],
            )
        masks = [read_mask(clip, shot, frame) for shot in self._drawing.shots]
        if self._truth is not None:
            truth = self._true_mask(self._truth, self._drawing.shots[0], frame)
            layers = compare(self._fit(masks[0]), self._fit(truth))
        else:
            layers = [Layer(self._fit(mask), sentence_colour(i)) for i, mask in enumerate(masks)]
        self._on_frame()
        picture = fit_picture(picture, self.height, self.width)
        opacity = self._drawing.config.opacity
        return paint(picture, layers, opacity, dim=self._truth is not None)

    def _fit(self, mask: np.ndarray) -> np.ndarray:
        return fit_mask(mask, self.height, self.width)

    def _true_mask(self, store: MaskStore, shot: Shot, frame: int) -> np.ndarray:
        clip = self._drawing.clip
        union = np.zeros((clip.height, clip.width), dtype=bool)
        for anno_id in shot.anno_ids:
            rle = store.rle(anno_id, frame)
            if rle is None:
                continue
            where = f"{clip.truth}, anno id {anno_id}, frame {frame}"
            if tuple(rle["size"]) != union.shape:
                raise CorruptInput(
                    f"the true mask is {rle['size'][1]} x {rle['size'][0]} pixels, the video "
                    f"{clip.width} x {clip.height}",
                    where=where,
                )
            union |= decode(rle, where=where) > 0
        return union


def read_mask(clip: Clip, shot: Shot, frame: int) -> np.ndarray:
    """A prediction as bool (H, W): any non-zero value is foreground.

    Raises:
        MissingInput: there is no file for this frame.
        CorruptInput: not an image, or not of the video's size.
    """
    path = clip.mask_path(shot, frame)
    red, green, blue = np.moveaxis(read_frame(path), 2, 0)
    mask = (red | green | blue) > 0
    if mask.shape != (clip.height, clip.width):
        raise CorruptInput(
            f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels, the video "
            f"{clip.width} x {clip.height}",
            where=path,
            hint="predictions have the video's own size",
        )
    return mask


def spread(frames: int, wanted: int) -> list[int]:
    """At most `wanted` frame positions, evenly over the video, first and last among them."""
    if wanted == 1:
        return [frames // 2]
    places = np.linspace(0, frames - 1, min(wanted, frames))
    return [int(place) for place in places.round()]


def tile(cells: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size in rows of `columns`, uint8 (H, W, 3)."""
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


def _labelled(picture: np.ndarray, label: str, face: Face) -> np.ndarray:
    """`picture` with a small dark label in its corner."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    pad = face.size // 3
    box = (0, 0, face.width(label) + 2 * pad, face.line_height)
    draw.rectangle(box, BACKGROUND)
    draw.text((pad, 0), label, TEXT, face.font)
    return np.asarray(image)


def video_side(height: int, width: int, config: RenderConfig) -> int:
    """Pixels of the shorter side of a frame that stands alone."""
    side = min(height, width)
    if config.short_side:
        return config.short_side
    if side < _SIDE_OF_VIDEO:
        return side * -(-_SIDE_OF_VIDEO // side)
    return min(side, _LARGEST_SIDE_OF_VIDEO)


def _lanes_of_one(shot: Shot) -> tuple[Lane, ...]:
    """Annotated moments, and what was routed, coloured as the masks are."""
    lanes = []
    if shot.annotated is not None:
        lanes.append(Lane("annotated", _bar(shot.annotated, SPAN)))
    if shot.routed is not None:
        colours = _bar(shot.routed, SPAN)
        if shot.annotated is not None:
            colours = tuple(map(_verdict, shot.routed.tolist(), shot.annotated.tolist()))
        lanes.append(Lane("routed", colours, hatched=MISSED))
    return tuple(lanes)


def _verdict(routed: bool, annotated: bool) -> Colour | None:
    if routed:
        return AGREEMENT if annotated else EXTRA
    return MISSED if annotated else None


def _lanes_of_many(shots: Sequence[Shot], keys: Sequence[Key]) -> tuple[Lane, ...]:
    """A bar a sentence: where it was routed, else where it is annotated."""
    lanes = []
    for shot, key in zip(shots, keys, strict=True):
        moments = shot.routed if shot.routed is not None else shot.annotated
        if moments is not None:
            lanes.append(
                Lane(f"moment {shot.expression_id}", _bar(moments, key.colour), key.colour)
            )
    return tuple(lanes)


def _bar(inside: np.ndarray, colour: Colour) -> tuple[Colour | None, ...]:
    return tuple(colour if here else None for here in inside.tolist())
