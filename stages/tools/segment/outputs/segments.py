"""Moments, boxes and masks of `tgl segment --table`, as JSON, CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pycocotools import mask as coco

from schemas.directories import write_text_atomic
from schemas.layouts import OBJECTS_TABLE, mask_path, object_mask_path
from schemas.parquet import read_table
from schemas.tables import OBJECTS
from schemas.vocabulary import GUIDED
from stages.core.datasets.palette import read_numbers
from stages.core.index.index import Video
from stages.core.media.rle import encode
from stages.tools.segment.outputs.results import SentenceResult
from stages.tools.segment.request import CSV, JSON

FORMAT = "tgl-segments"
VERSION = 1
SCHEMA = pa.schema(
    {
        "video_id": pa.string(),
        "sentence": pa.string(),
        "object": pa.string(),
        "frame": pa.int32(),
        "name": pa.string(),
        "seconds": pa.float64(),
        "route": pa.string(),
        "in_moment": pa.bool_(),
        "relevance": pa.float32(),
        "confidence": pa.float32(),
        "x0": pa.int32(),
        "y0": pa.int32(),
        "x1": pa.int32(),
        "y1": pa.int32(),
        "area": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "counts": pa.binary(),
    }
)
"""Columns of the table, a row per sentence, object and frame. `object` is null where a sentence's
objects are not told apart; the box (half-open) where there is no mask; `route` is as in the
propagation table; `counts` is compressed COCO RLE, in CSV as text."""


class RowWriter(Protocol):
    """Writes rows of the table."""

    def write_table(self, table: pa.Table) -> None:
        """Write rows of SCHEMA."""


@dataclass(frozen=True)
class SegmentRows:
    """N rows of the table for one video.

    Attributes:
        sentences, objects, frames, names: sentence, object, number and name of the frame of each.
        seconds: time of the frame, None where it is not known.
        routes, relevance: of the frame for the sentence; on the language path it is in a moment.
        confidence: of the model that there is an object.
        masks: N of bool (H, W).
    """

    sentences: Sequence[str]
    objects: Sequence[str | None]
    frames: Sequence[int]
    names: Sequence[str]
    seconds: Sequence[float | None]
    routes: Sequence[str]
    relevance: Sequence[float | None] | np.ndarray
    confidence: Sequence[float | None] | np.ndarray
    masks: Iterable[np.ndarray]

    def table(self, video_id: str) -> pa.Table:
        """The rows by columns."""
        encoded = [_columns(mask) for mask in self.masks]
        columns = {
            "video_id": [video_id] * len(encoded),
            "sentence": self.sentences,
            "object": pa.array(self.objects, pa.string()),
            "frame": self.frames,
            "name": self.names,
            "seconds": pa.array(self.seconds, pa.float64()),
            "route": self.routes,
            "in_moment": [route in GUIDED for route in self.routes],
            "relevance": self.relevance,
            "confidence": self.confidence,
            **dict(zip(_OF_MASKS, zip(*encoded, strict=True), strict=True)),
        }
        return pa.table(columns, schema=SCHEMA)


_OF_MASKS = ("x0", "y0", "x1", "y1", "area", "height", "width", "counts")


def _columns(mask: np.ndarray) -> tuple[Any, ...]:
    """Box, area, size and run lengths of a mask."""
    rle = encode(mask)
    box: Sequence[int | None] = _box(rle) or (None, None, None, None)
    return *box, int(coco.area(rle)), *mask.shape, rle["counts"]


def _box(rle: Any) -> list[int] | None:
    """The half-open box of a mask, x0, y0, x1, y1; None if it is empty."""
    x, y, width, height = (int(value) for value in coco.toBbox(rle))
    return [x, y, x + width, y + height] if width else None


@contextmanager
def segments_writer(path: Path) -> Iterator[RowWriter]:
    """Open a table of segments, CSV or Parquet by its suffix, to be written in pieces."""
    if path.suffix == CSV:
        with pa_csv.CSVWriter(path, _text_schema()) as writer:
            yield _CsvRows(writer)
        return
    # A checksum per page: damage is noticed when it is read.
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        yield writer


class _CsvRows:
    """Writes run lengths as text."""

    def __init__(self, writer: Any):
        self._writer = writer

    def write_table(self, table: pa.Table) -> None:
        """Write rows of SCHEMA."""
        self._writer.write_table(table.cast(_text_schema()))


def _text_schema() -> pa.Schema:
    place = SCHEMA.get_field_index("counts")
    return SCHEMA.set(place, pa.field("counts", pa.string()))


def write_segments(
    path: Path,
    video: Video,
    results: list[SentenceResult],
    preds: Path,
    seconds: Sequence[float | None],
) -> None:
    """Write the results of a video as JSON, CSV or Parquet, by the suffix of `path`.

    Args:
        preds: folder of the masks, and of single objects' where they are told apart.
        seconds: time of each frame, None where it is not known.
    """
    found = VideoSegments(video, results, seconds)
    if path.suffix == JSON:
        write_text_atomic(path, _document(found, preds, ObjectTracks(preds, video)))
        return
    with segments_writer(path) as writer:
        _write_rows(writer, found, preds)


@dataclass(frozen=True)
class VideoSegments:
    """Results of one of several videos.

    Attributes:
        seconds: time of each frame, None where it is not known.
    """

    video: Video
    results: list[SentenceResult]
    seconds: Sequence[float | None]


def write_segments_of_videos(path: Path, found: Iterable[VideoSegments], preds: Path) -> None:
    """Write the results of videos as they come; in JSON as a list `videos` of their documents.

    Args:
        preds: folder of the masks, and of single objects' where they are told apart.
    """
    if path.suffix != JSON:
        with segments_writer(path) as writer:
            for one in found:
                _write_rows(writer, one, preds)
        return
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(_HEAD).removesuffix("}") + ',\n"videos": [')
        for number, one in enumerate(found):
            document = _document(one, preds, ObjectTracks(preds, one.video), head={})
            file.write(("," if number else "") + "\n" + document.removesuffix("\n"))
        file.write("\n]}\n")


def _write_rows(writer: RowWriter, found: VideoSegments, preds: Path) -> None:
    """Write the rows of a video, a sentence or object at a time."""
    video = found.video
    tracks = ObjectTracks(preds, video)
    for result in found.results:
        for name, confidence, masks in _tracks_of(video, result, preds, tracks):
            rows = SegmentRows(
                [result.expression.text] * video.num_frames,
                [name] * video.num_frames,
                range(video.num_frames),
                video.frame_names,
                found.seconds,
                result.routes,
                result.relevance,
                confidence,
                masks,
            )
            writer.write_table(rows.table(video.video_id))


class ObjectTracks:
    """The single objects of each sentence, where they are told apart.

    Args:
        preds: folder of the masks.
    """

    def __init__(self, preds: Path, video: Video):
        self._preds, self._video = preds, video
        self._known: dict[str, list[dict[str, Any]]] = {}
        path = preds / OBJECTS_TABLE
        for row in read_table(path, OBJECTS).to_pylist() if path.is_file() else ():
            own = row["video_id"] == video.video_id
            if own and self._path(row["expression_id"], 0).is_file():
                self._known.setdefault(row["expression_id"], []).append(row)

    def of(self, expression_id: str) -> list[tuple[str, float | None, Iterator[np.ndarray]]]:
        """Name, score and masks, bool (H, W) per frame, of each object of a sentence."""
        return [
            (row["anno_id"], row["score"], self._masks(expression_id, row["number"]))
            for row in sorted(self._known.get(expression_id, []), key=lambda row: row["number"])
        ]

    def _masks(self, expression_id: str, number: int) -> Iterator[np.ndarray]:
        for frame in range(self._video.num_frames):
            yield read_numbers(self._path(expression_id, frame)) == number

    def _path(self, expression_id: str, frame: int) -> Path:
        video = self._video
        name = video.frame_names[frame]
        return object_mask_path(self._preds, video.video_id, expression_id, name)


def _tracks_of(
    video: Video, result: SentenceResult, preds: Path, tracks: ObjectTracks
) -> Iterator[tuple[str | None, Sequence[float | None], Iterator[np.ndarray]]]:
    """Name, confidence per frame, and masks of each object, or of a sentence as a whole."""
    single = tracks.of(result.expression.expression_id)
    for name, score, masks in single:
        yield name, [score] * video.num_frames, masks
    if not single:
        yield None, result.confidence, _masks(video, result, preds)


_HEAD = {"format": FORMAT, "version": VERSION, "frame_unit": "index"}


def _document(
    found: VideoSegments,
    preds: Path,
    tracks: ObjectTracks,
    head: Mapping[str, Any] = _HEAD,
) -> str:
    """The JSON document of a video: what is of the video, then a line per sentence.

    Args:
        head: its first entries.
    """
    video = found.video
    head = {
        **head,
        "video": video.video_id,
        "height": video.height,
        "width": video.width,
        "fps": video.fps,
        "frames": list(video.frame_names),
        "seconds": list(found.seconds),
    }
    lines = [json.dumps(_sentence(video, result, preds, tracks)) for result in found.results]
    opened = json.dumps(head).removesuffix("}")
    return opened + ',\n"sentences": [\n' + ",\n".join(lines) + "\n]}\n"


def _sentence(
    video: Video, result: SentenceResult, preds: Path, tracks: ObjectTracks
) -> dict[str, Any]:
    rles = [encode(mask) for mask in _masks(video, result, preds)]
    return {
        "sentence": result.expression.text,
        "found": any(result.areas),
        "moments": result.moments,
        "best_frame": result.best_frame,
        "visible": result.visible,
        "relevance": result.relevance,
        "confidence": result.confidence,
        "boxes": list(map(_box, rles)),
        "masks": list(map(_text_rle, rles)),
        "objects": [
            {"object": name, "confidence": score, **_boxes_and_masks(masks)}
            for name, score, masks in tracks.of(result.expression.expression_id)
        ],
    }


def _boxes_and_masks(masks: Iterable[np.ndarray]) -> dict[str, Any]:
    rles = list(map(encode, masks))
    return {"boxes": list(map(_box, rles)), "masks": list(map(_text_rle, rles))}


def _text_rle(rle: Any) -> dict[str, Any] | None:
    """COCO RLE of a mask with its counts as text; None for an empty one."""
    if not coco.area(rle):
        return None
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


def _masks(video: Video, result: SentenceResult, preds: Path) -> Iterator[np.ndarray]:
    """Masks of a sentence, bool (H, W) per frame."""
    name = result.expression.expression_id
    for frame in video.frame_names:
        yield read_numbers(mask_path(preds, video.video_id, name, frame)) > 0
