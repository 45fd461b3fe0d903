"""Frames and masks of an index for the page, by number; safe for several threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from schemas.errors import CorruptInput
from schemas.files import read_regular
from stages.core.browser.content import Json, Refused, not_found
from stages.core.datasets.frame_times import IndexTimes
from stages.core.index.index import Expression, Video
from stages.core.index.masks import MaskStore
from stages.core.media.rle import Rle, checked_runs
from stages.core.media.spans import Span, spans_of

MOST_MASKS = 64
"""Frames of masks in one answer."""
MOST_FRAME_BYTES = 1 << 26
_BAD_REQUEST = 400
_KEPT_RANGES = 4096
"""Referents whose visible frames are kept in memory."""
_KINDS = {".png": "image/png", ".webp": "image/webp"}
_JPEG = "image/jpeg"

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """The values computed last, each once."""

    def __init__(self, most: int):
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value of `key`, computed if it is not kept."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = compute()
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


class Videos:
    """Videos by number in the order of the index.

    Args:
        masks: of the referents; None without any.
    """

    def __init__(self, videos: Sequence[Video], masks: MaskStore | None):
        self.all = tuple(videos)
        self.numbers = {video.video_id: number for number, video in enumerate(self.all)}
        self._masks = masks
        self._lock = Lock()  # a MaskStore is not shared between threads
        self._times = IndexTimes()
        self._visible: Cache[str, tuple[Span, ...]] = Cache(_KEPT_RANGES)

    def of(self, number: int) -> Video:
        """A video by its number.

        Raises:
            Refused: there is none.
        """
        if number >= len(self.all):
            raise not_found("video")
        return self.all[number]

    def facts(self, number: int) -> Json:
        """Name, length, size and frame names of a video, its rate, or times where it varies."""
        video = self.of(number)
        return {
            "name": video.video_id,
            "frames": video.num_frames,
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "times": self._times.varying(video),
            "names": list(video.frame_names),
        }

    def frame(self, number: int, frame: int) -> tuple[bytes, str]:
        """The file of a frame, and its media type.

        Raises:
            Refused: no such frame.
            MissingInput: its file does not exist.
            CorruptInput: it is larger than any image.
        """
        video = self.of(number)
        if frame >= video.num_frames:
            raise not_found("frame")
        path = video.frame_path(frame)
        if path.is_file() and path.stat().st_size > MOST_FRAME_BYTES:
            raise CorruptInput(f"has more than {MOST_FRAME_BYTES:,} bytes", where=path)
        data = read_regular(path, missing="the frame is missing")
        return data, _KINDS.get(video.frame_suffix.lower(), _JPEG)

    def visible(self, anno_id: str) -> tuple[Span, ...]:
        """Spans of frames in which an object has a mask."""
        if self._masks is None:
            return ()
        with self._lock:
            return self._visible.get(anno_id, lambda: self._ranges(anno_id))

    def masks(self, expression: Expression, referent: int, start: int, end: int) -> Json:
        """Compressed COCO run lengths of a referent by frame, in the frames [start, end).

        Raises:
            Refused: no such referent, or too many frames.
        """
        check_range(start, end)
        if referent >= len(expression.anno_ids):
            raise not_found("referent")
        if self._masks is None:
            return {"frames": {}}
        anno_id, video = expression.anno_ids[referent], expression.video_id
        with self._lock:
            track = self._masks.frames_of(anno_id)
        size = self.size(video)
        where = f"video {video}, anno id {anno_id}"
        frames = (t for t in range(start, end) if t in track)
        return {"frames": {t: counts_text(track[t], size, f"{where}, frame {t}") for t in frames}}

    def size(self, video_id: str) -> list[int]:
        """Height and width of a video."""
        video = self.all[self.numbers[video_id]]
        return [video.height, video.width]

    def _ranges(self, anno_id: str) -> tuple[Span, ...]:
        assert self._masks is not None
        frames = self._masks.frames_of(anno_id)
        inside = np.zeros(max(frames, default=-1) + 1, bool)
        inside[list(frames)] = True
        return tuple(spans_of(inside))


def check_range(start: int, end: int) -> None:
    """Refuse a range of frames that is empty or longer than one answer holds."""
    if not start < end <= start + MOST_MASKS:
        raise Refused(_BAD_REQUEST, f"a request has 1 to {MOST_MASKS} frames")


def counts_text(rle: Rle, size: Sequence[int], where: str) -> str:
    """Compressed run lengths as text, checked so that the page need not do it.

    Args:
        size: height and width that the mask must have.

    Raises:
        CorruptInput: the runs do not fill the frame, or the mask has another size.
    """
    if list(rle["size"]) != list(size):
        raise CorruptInput(
            f"a mask of {rle['size'][1]}x{rle['size'][0]}, the frame is {size[1]}x{size[0]}",
            where=where,
        )
    checked_runs(rle, where=where)
    return rle["counts"].decode("ascii")
