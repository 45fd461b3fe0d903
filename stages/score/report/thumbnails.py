"""Small images of a prediction on its frame: pixels that agree, are missed, or are too much."""

from __future__ import annotations

import base64
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.files import open_regular
from schemas.layouts import MASK_SUFFIX
from stages.score.cases import Case, TrackReader, TruthFault, VideoCases
from stages.score.masks.packed_masks import unpack
from stages.score.masks.png import read_labels, read_mask

# Blue, orange and purple of Okabe and Ito, which colour-blind readers can tell apart.
AGREED, MISSED, EXTRA = (0, 114, 178), (230, 159, 0), (204, 121, 167)
_WIDTH = 320
_QUALITY = 80
_OPACITY = 0.62
_GREY, _DIM = 235, 0.75
_UNREADABLE = (TglError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class ThumbnailJob:
    """A frame of a case, drawn by any process."""

    preds: Path
    video: VideoCases
    case: Case
    frame: int


def thumbnail(job: ThumbnailJob) -> str | None:
    """Draw a frame of a case as a data URI (JPEG); None if neither mask can be read."""
    preds, video, case, frame = job.preds, job.video, job.case, job.frame
    true = _truth(video.tracks.open(), case, frame)
    predicted = _prediction(preds, video, case, frame)
    known = true if true is not None else predicted
    if known is None:
        return None
    true = np.zeros_like(known) if true is None else true
    predicted = np.zeros_like(known) if predicted is None else predicted
    if predicted.shape != true.shape:
        return None
    size = (_WIDTH, max(1, round(_WIDTH * true.shape[0] / true.shape[1])))
    canvas = np.asarray(_background(video, frame, size)).astype(float)
    small = [_scaled(mask, size) for mask in (true & predicted, true, predicted)]
    both, true, predicted = small
    for mask, colour in ((true & ~both, MISSED), (predicted & ~both, EXTRA), (both, AGREED)):
        canvas[mask] = (1 - _OPACITY) * canvas[mask] + _OPACITY * np.array(colour, float)
    stream = io.BytesIO()
    Image.fromarray(canvas.astype(np.uint8)).save(stream, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask to (width, height), nearest pixel."""
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)).astype(bool)


def _truth(reader: TrackReader, case: Case, frame: int) -> np.ndarray | None:
    """Read the union of a case's tracks, bool (H, W)."""
    union: np.ndarray | None = None
    for track in case.tracks:
        with contextlib.suppress(TruthFault, CorruptInput):
            found = reader.mask(track, frame)
            if found is not None:
                mask = unpack(found)
                union = mask if union is None or union.shape != mask.shape else union | mask
    return union


def _prediction(preds: Path, video: VideoCases, case: Case, frame: int) -> np.ndarray | None:
    path = preds / case.folder / f"{video.frame_names[frame]}{MASK_SUFFIX}"
    with contextlib.suppress(CorruptInput, MissingInput):
        if case.label is not None:
            return read_labels(path) == case.label
        return unpack(read_mask(path))
    return None


def _background(video: VideoCases, frame: int, size: tuple[int, int]) -> Image.Image:
    """Return the video's own frame in pale grey, or a plain image if it cannot be read."""
    if video.frames_dir:
        path = Path(video.frames_dir) / f"{video.frame_names[frame]}{video.frame_suffix}"
        with contextlib.suppress(*_UNREADABLE):
            with open_regular(path) as file, Image.open(file) as image:
                image.draft("RGB", size)
                small = image.convert("L").resize(size, Image.Resampling.BILINEAR)
            return small.point(lambda level: level * _DIM + 255 * (1 - _DIM)).convert("RGB")
    return Image.new("RGB", size, (_GREY, _GREY, _GREY))
