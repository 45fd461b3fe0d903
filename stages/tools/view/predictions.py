"""A folder of predicted masks, with what propagate and score say about them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import PROPAGATION_TABLE, SCORE_FRAMES_TABLE, SCORES_TABLE, mask_path
from schemas.parquet import read_table
from schemas.tables import PROPAGATION, SCORE_FRAMES, SCORES
from stages.core.browser.content import Json
from stages.core.browser.videos import Cache, counts_text
from stages.core.index.index import Video
from stages.core.index.prediction_folder import predicted_expressions, read_prediction
from stages.core.media.rle import encode
from stages.core.media.spans import Span, spans_of
from stages.tools.view.video_rows import VideoRows

Key = tuple[str, str]
_KEPT_SENTENCES = 1024
_ROUTES = ("video_id", "expression_id", "frame", "route", "relevance", "mask_area")
_FRAMES = ("video_id", "expression_id", "frame", "J", "F")


class Prediction:
    """The masks of one run.

    Args:
        folder: `<video>/<expression>/<frame>.png`, perhaps with propagate's table.
        scores: OUT of tgl score of these predictions, None without.

    Raises:
        MissingInput: no such folder, or no scores in theirs.
    """

    def __init__(self, folder: Path, scores: Path | None):
        if not folder.is_dir():
            raise MissingInput("no such folder of predictions", where=folder)
        self.folder = folder
        self.present = predicted_expressions(folder)
        self._names = {(video, name) for video, names in self.present.items() for name in names}
        table = folder / PROPAGATION_TABLE
        self._routes = VideoRows(table, PROPAGATION, _ROUTES) if os.path.lexists(table) else None
        self._scores = None if scores is None else _Scores(scores)
        self._shown: Cache[Key, list[Span]] = Cache(_KEPT_SENTENCES)

    def __contains__(self, key: Key) -> bool:
        return key in self._names

    def jf(self, key: Key) -> float | None:
        """J&F of a sentence, None if it was not scored."""
        found = None if self._scores is None else self._scores.row(key)
        return None if found is None else found["JF"]

    def state(self, video: Video, expression_id: str) -> Json | None:
        """What the page shows of a sentence; None without masks of it."""
        key = video.video_id, expression_id
        if key not in self:
            return None
        length = video.num_frames
        routes = None if self._routes is None else self._routes.of(*key)
        known = routes is not None and routes.num_rows > 0
        frames = None if self._scores is None else self._scores.frames(*key)
        scored = frames is not None and frames.num_rows > 0
        return {
            "present": self._visible(video, expression_id, routes if known else None),
            "route": _by_frame(routes, "route", length, self.folder) if known else None,
            "relevance": _by_frame(routes, "relevance", length, self.folder) if known else None,
            "j": _by_frame(frames, "J", length, self.folder) if scored else None,
            "f": _by_frame(frames, "F", length, self.folder) if scored else None,
            "scores": None if self._scores is None else self._scores.row(key),
        }

    def masks(self, video: Video, expression_id: str, start: int, end: int) -> dict[int, str]:
        """Compressed COCO run lengths of the frames in [start, end) that have a mask.

        Raises:
            CorruptInput: a file is damaged, or has another size than the video.
        """
        size = [video.height, video.width]
        found = {}
        for frame in range(start, min(end, video.num_frames)):
            mask = self._mask(video, expression_id, frame)
            if mask is not None and mask.any():
                found[frame] = counts_text(encode(mask), size, str(self.folder))
        return found

    def _visible(self, video: Video, expression_id: str, routes: pa.Table | None) -> list[Span]:
        """Frames with a mask that is not empty."""
        if routes is not None:
            areas = _by_frame(routes, "mask_area", video.num_frames, self.folder)
            return spans_of([bool(area) for area in areas])

        def look() -> list[Span]:
            masks = (self._mask(video, expression_id, t) for t in range(video.num_frames))
            return spans_of([mask is not None and bool(mask.any()) for mask in masks])

        return self._shown.get((video.video_id, expression_id), look)

    def _mask(self, video: Video, expression_id: str, frame: int) -> np.ndarray | None:
        """The mask of a frame, bool (H, W); None without a file, as of frames left out."""
        name = video.frame_names[frame]
        path = mask_path(self.folder, video.video_id, expression_id, name)
        if not os.path.lexists(path):
            return None
        return read_prediction(path, video.height, video.width)


class _Scores:
    """OUT of tgl score: a row per sentence, and one per frame."""

    def __init__(self, folder: Path):
        table = folder / SCORES_TABLE
        if not table.is_file():
            raise MissingInput(
                f"has no {SCORES_TABLE}", where=folder, hint="name OUT of tgl score --out OUT"
            )
        self._rows = {
            (row["video_id"], row["expression_id"]): _numbers(row)
            for row in read_table(table, SCORES).to_pylist()
        }
        frames = folder / SCORE_FRAMES_TABLE
        self._frames = VideoRows(frames, SCORE_FRAMES, _FRAMES) if frames.is_file() else None

    def row(self, key: Key) -> dict[str, Any] | None:
        """The scores of a sentence by name."""
        return self._rows.get(key)

    def frames(self, video_id: str, expression_id: str) -> pa.Table | None:
        """Rows of a sentence's frames."""
        return None if self._frames is None else self._frames.of(video_id, expression_id)


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """The finite numbers of a row, the others as None: JSON has no NaN."""
    named = {name: value for name, value in row.items() if not isinstance(value, str)}
    return {name: _finite(value) for name, value in named.items()}


def _by_frame(table: pa.Table, column: str, length: int, where: Path) -> list[Any]:
    """The values of a column at their frames, None elsewhere.

    Raises:
        CorruptInput: a frame lies behind the end of the video.
    """
    values: list[Any] = [None] * length
    for frame, value in zip(table["frame"].to_pylist(), table[column].to_pylist(), strict=True):
        if not 0 <= frame < length:
            raise CorruptInput(
                f"names frame {frame} of a video of {length}",
                where=where,
                hint="these predictions belong to another index",
            )
        values[frame] = _finite(value)
    return values


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
