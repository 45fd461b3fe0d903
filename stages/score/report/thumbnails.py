"""Small images of predictions on their frames: pixels that agree, are missed, or are extra.

Colours and words are those of `tgl render`. The images of a video are drawn together, since its
sentences share frames: in the rows of the table the frame is one image and the masks another one,
with few colours, over it.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.files import open_regular
from schemas.layouts import MASK_SUFFIX
from stages.core.media.palette import AGREEMENT, EXTRA, MISSED
from stages.score.cases import Case, TrackReader, TruthFault, VideoCases
from stages.score.masks.packed_masks import unpack
from stages.score.masks.png import read_labels, read_mask

CARD_WIDTH, ROW_WIDTH = 320, 224
_QUALITY = 75
_GREY = 150
_DARKENED = 0.75  # of the frame, under colours that are light themselves
_LEAST = 96  # of 255: share of a small pixel that a mask covers
_STRIPE = 3
# Classes of a pixel: nothing, and the regions; missed ones are hatched with a weaker colour.
_NOTHING, _AGREEMENT, _MISSED, _MISSED_WEAK, _EXTRA = range(5)
_COLOURS = ((0, 0, 0), AGREEMENT, MISSED, MISSED, EXTRA)
_ALPHAS = (0, 170, 240, 50, 170)
_OPAQUE = 255
_UNREADABLE = (TglError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)

Place = tuple[int, int]
"""Position of a case in its video, and a frame."""


@dataclass(frozen=True)
class PictureJob:
    """Images of one video, drawn by any process.

    Attributes:
        cards: images to draw whole.
        rows: images to draw as masks alone, over frames that are drawn once.
    """

    preds: Path
    video: VideoCases
    cards: tuple[Place, ...]
    rows: tuple[Place, ...]


@dataclass
class Pictures:
    """Images of a video, as base64.

    Attributes:
        cards: JPEG; those for which no mask can be read are left out.
        frames: JPEG of each frame of the rows.
        masks: PNG for each place of the rows, left out as for the cards.
    """

    cards: dict[Place, str] = field(default_factory=dict)
    frames: dict[int, str] = field(default_factory=dict)
    masks: dict[Place, str] = field(default_factory=dict)


def draw_pictures(job: PictureJob) -> Pictures:
    """Draw the images of a video."""
    found, painter = Pictures(), _Painter(job)
    for place in job.cards:
        classes = painter.classes(place, CARD_WIDTH)
        if classes is not None:
            found.cards[place] = _encoded(painter.composed(place[1], classes), "JPEG")
    for place in job.rows:
        classes = painter.classes(place, ROW_WIDTH)
        if classes is None:
            continue
        found.masks[place] = _encoded(_palette_image(classes), "PNG")
        if place[1] not in found.frames:
            size = classes.shape[1], classes.shape[0]
            found.frames[place[1]] = _encoded(painter.background(place[1], size), "JPEG")
    return found


class _Painter:
    """Reads and scales the frames and masks of one video."""

    def __init__(self, job: PictureJob):
        self._preds = job.preds
        self._video = job.video

    @cached_property
    def _reader(self) -> TrackReader:
        return self._video.tracks.open()

    def classes(self, place: Place, width: int) -> np.ndarray | None:
        """The class of each pixel of a small image, uint8 (H, W); None without a mask."""
        case, frame = self._video.cases[place[0]], place[1]
        true, predicted = _truth(self._reader, case, frame), self._prediction(case, frame)
        known = true if true is not None else predicted
        if known is None:
            return None
        true = np.zeros_like(known) if true is None else true
        predicted = np.zeros_like(known) if predicted is None else predicted
        if predicted.shape != true.shape:
            return None
        size = (width, max(1, round(width * true.shape[0] / true.shape[1])))
        both, true, predicted = (
            _scaled(mask, size) for mask in (true & predicted, true, predicted)
        )
        classes = np.full(both.shape, _NOTHING, np.uint8)
        classes[predicted] = _EXTRA
        diagonals = np.add.outer(np.arange(both.shape[0]), np.arange(both.shape[1]))  # (H, W)
        strong = diagonals // _STRIPE % 2 == 0
        classes[true & strong], classes[true & ~strong] = _MISSED, _MISSED_WEAK
        classes[both] = _AGREEMENT
        return classes

    def composed(self, frame: int, classes: np.ndarray) -> Image.Image:
        """The frame under the colours of the classes (H, W)."""
        base = self.background(frame, (classes.shape[1], classes.shape[0]))
        colours = np.array(_COLOURS, np.float32)[classes]  # (H, W, 3)
        alpha = np.array(_ALPHAS, np.float32)[classes][..., None] / _OPAQUE
        pixels = np.asarray(base, np.float32)[..., None] * (1 - alpha) + colours * alpha
        return Image.fromarray(pixels.round().astype(np.uint8))

    def background(self, frame: int, size: tuple[int, int]) -> Image.Image:
        """The frame in dark grey at (width, height), or plain grey if it cannot be read."""
        video = self._video
        if video.frames_dir:
            path = Path(video.frames_dir) / f"{video.frame_names[frame]}{video.frame_suffix}"
            with contextlib.suppress(*_UNREADABLE):
                with open_regular(path) as file, Image.open(file) as image:
                    image.draft("RGB", size)
                    small = image.convert("L").resize(size, Image.Resampling.BILINEAR)
                return small.point(lambda level: level * _DARKENED)
        return Image.new("L", size, _GREY)

    def _prediction(self, case: Case, frame: int) -> np.ndarray | None:
        name = f"{self._video.frame_names[frame]}{MASK_SUFFIX}"
        path = self._preds / case.folder / name
        with contextlib.suppress(CorruptInput, MissingInput):
            if case.label is not None:
                return read_labels(path) == case.label
            return unpack(read_mask(path))
        return None


def _truth(reader: TrackReader, case: Case, frame: int) -> np.ndarray | None:
    """Read the union of a case's tracks, bool (H, W)."""
    union: np.ndarray | None = None
    for mask in _masks(reader, case, frame):
        union = mask if union is None or union.shape != mask.shape else union | mask
    return union


def _masks(reader: TrackReader, case: Case, frame: int) -> Iterator[np.ndarray]:
    for track in case.tracks:
        with contextlib.suppress(TruthFault, CorruptInput):
            found = reader.mask(track, frame)
            if found is not None:
                yield unpack(found)


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask to (width, height); thin parts stay."""
    luma = Image.fromarray(mask.astype(np.uint8) * _OPAQUE)
    if size[0] >= luma.width:
        return np.asarray(luma.resize(size, Image.Resampling.NEAREST)) > 0
    return np.asarray(luma.resize(size, Image.Resampling.BOX)) >= _LEAST


def _palette_image(classes: np.ndarray) -> Image.Image:
    """An image of the classes (H, W) whose colours are translucent."""
    image = Image.fromarray(classes).convert("P")
    image.putpalette([level for colour in _COLOURS for level in colour])
    image.info["transparency"] = bytes(_ALPHAS)
    return image


def _encoded(image: Image.Image, kind: str) -> str:
    stream = io.BytesIO()
    if kind == "PNG":
        image.save(stream, kind, bits=4, compress_level=9, transparency=bytes(_ALPHAS))
    else:
        image.save(stream, kind, quality=_QUALITY)
    return base64.b64encode(stream.getvalue()).decode("ascii")
