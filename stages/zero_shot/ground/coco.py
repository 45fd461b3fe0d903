"""Detections in the form of COCO results: which frame and which sentence a row belongs to.

A file is a list of results, or an object with `annotations` (the results), `images` and
`categories`. See docs/zero-shot.md for the fields of a result.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pycocotools import mask as coco_mask

from schemas.documents import mapping, parse_json
from schemas.errors import CorruptInput
from schemas.files import read_regular
from schemas.parquet import rows_of
from schemas.tables import CANDIDATES
from stages.core.datasets.documents.rle_json import read_track
from stages.core.index.index import Expression, Index

_SENTENCE_KEYS = ("sentence", "caption", "expression")
_MOST_POINTS = 100_000
_CORNERS = 4


def read_coco(path: Path, index: Index) -> pa.Table:
    """Read COCO results as rows of the candidates table, in the order of the file.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is not COCO results, or a row names a frame or a sentence that the index
            lacks.
    """
    document = parse_json(read_regular(path, missing="no such file"), path)
    results = _Results(document, index, path)
    ranks: dict[tuple[str, str, int], int] = defaultdict(int)
    rows = []
    for number, item in enumerate(results.items):
        for row in results.rows(item, f"{path}, result {number}"):
            key = row["video_id"], row["expression_id"], row["frame"]
            rows.append({**row, "rank": ranks[key], "source": path.stem})
            ranks[key] += 1
    return rows_of(rows, CANDIDATES)


@dataclass(frozen=True)
class _Place:
    """A frame of the index."""

    video_id: str
    frame: int


class _Results:
    """The parts of a document.

    Attributes:
        items: its results.
    """

    def __init__(self, document: object, index: Index, path: Path):
        parts = {"annotations": document} if isinstance(document, list) else document
        whole = mapping(parts, path)
        self.items = _list(whole, "annotations", path)
        self._index = index
        self._images = _named(whole, "images", "file_name", path)
        self._categories = _named(whole, "categories", "name", path)
        self._frames = {
            video.video_id: {name: number for number, name in enumerate(video.frame_names)}
            for video in index.videos.values()
        }
        self._sentences: dict[tuple[str, str], list[Expression]] = defaultdict(list)
        for expression in index.expressions:
            self._sentences[expression.video_id, expression.text.strip()].append(expression)

    def rows(self, item: object, where: str) -> list[dict[str, Any]]:
        """The rows of a result: one for each sentence of its video with these words."""
        entry = mapping(item, where)
        place = self._place(entry, where)
        video = self._index.videos[place.video_id]
        left, top, width, height = _box(entry, where)
        row = {
            "video_id": place.video_id,
            "frame": place.frame,
            "x0": left,
            "y0": top,
            "x1": left + width,
            "y1": top + height,
            "score": _number(entry.get("score"), "score", where),
            "counts": _counts(entry.get("segmentation"), (video.height, video.width), where),
        }
        return [
            {**row, "expression_id": expression.expression_id}
            for expression in self._expressions(entry, place.video_id, where)
        ]

    def _place(self, entry: Mapping[str, Any], where: str) -> _Place:
        given = entry.get("image_id")
        name = self._images.get(given, given) if isinstance(given, int | str) else given
        if not isinstance(name, str):
            raise CorruptInput(
                f"image_id {given!r} is not in images, and not VIDEO/FRAME itself",
                where=where,
                hint="list it in images with file_name VIDEO/FRAME.jpg",
            )
        parts = PurePosixPath(name).parts
        video = parts[-2] if len(parts) > 1 else ""
        frames = self._frames.get(video)
        if frames is None:
            raise CorruptInput(
                f"the image {name!r} is not VIDEO/FRAME of a video in the index", where=where
            )
        frame = frames.get(parts[-1], frames.get(PurePosixPath(parts[-1]).stem))
        if frame is None:
            raise CorruptInput(f"video {video} has no frame {parts[-1]}", where=where)
        return _Place(video, frame)

    def _expressions(
        self, entry: Mapping[str, Any], video: str, where: str
    ) -> Sequence[Expression]:
        name = entry.get("expression_id")
        if name is not None:
            named = [e for e in self._index.expressions_of(video) if e.expression_id == str(name)]
            return named or self._no_sentence(f"expression {name}", video, where)
        text = next((entry[key] for key in _SENTENCE_KEYS if key in entry), None)
        if text is None:
            category = entry.get("category_id")
            text = self._categories.get(category) if isinstance(category, int | str) else None
        if not isinstance(text, str):
            raise CorruptInput(
                "names no sentence",
                where=where,
                hint="give expression_id, sentence, or a category_id whose name is a sentence",
            )
        return self._sentences.get((video, text.strip())) or self._no_sentence(
            f"sentence {text!r}", video, where
        )

    def _no_sentence(self, what: str, video: str, where: str) -> list[Expression]:
        raise CorruptInput(f"video {video} has no {what}", where=where)


def _list(document: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise CorruptInput(
            f"has no list of {key}",
            where=path,
            hint="COCO results are a list, or an object with annotations, images and categories",
        )
    return found


def _named(document: Mapping[str, Any], key: str, name: str, path: Path) -> dict[int | str, str]:
    """The names of a list's entries by their ids; empty where there is no such list."""
    if key not in document:
        return {}
    found = {}
    for number, item in enumerate(_list(document, key, path)):
        entry = mapping(item, f"{path}, {key} {number}")
        if not isinstance(entry.get("id"), int | str) or not isinstance(entry.get(name), str):
            raise CorruptInput(f"lacks id or {name}", where=f"{path}, {key} {number}")
        if entry["id"] in found:
            raise CorruptInput(f"the id {entry['id']!r} is used twice", where=f"{path}, {key}")
        found[entry["id"]] = entry[name]
    return found


def _box(entry: Mapping[str, Any], where: str) -> tuple[float, ...]:
    values = entry.get("bbox")
    if not isinstance(values, list) or len(values) != _CORNERS:
        raise CorruptInput("bbox is not [x, y, width, height]", where=where)
    box = tuple(_number(value, "a number of bbox", where) for value in values)
    if box[2] < 0 or box[3] < 0:
        raise CorruptInput(f"the box {values} has a negative size", where=where)
    return box


def _number(value: object, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CorruptInput(f"{name} is not a finite number", where=where)
    return float(value)


def _counts(value: object, size: tuple[int, int], where: str) -> bytes | None:
    """A mask as compressed run lengths; polygons are filled.

    Args:
        size: (H, W) of the frame.
    """
    if value is None or value == []:
        return None
    if isinstance(value, list):
        return _filled(value, size, where)
    mask = read_track([value], where=where)[0]
    assert mask is not None
    if tuple(mask["size"]) != size:
        height, width = mask["size"]
        raise CorruptInput(
            f"the mask is {width}x{height}, the frame {size[1]}x{size[0]}", where=where
        )
    return mask["counts"]


def _filled(polygons: list[object], size: tuple[int, int], where: str) -> bytes:
    high = max(size)
    for polygon in polygons:
        points = polygon if isinstance(polygon, list) else []
        fits = len(points) % 2 == 0 and 3 * 2 <= len(points) <= _MOST_POINTS
        if not fits:
            raise CorruptInput("a polygon of segmentation is not a list of x, y", where=where)
        for value in points:
            if abs(_number(value, "a number of segmentation", where)) > 2 * high:
                raise CorruptInput("a polygon lies far outside the frame", where=where)
    parts = coco_mask.frPyObjects(polygons, *size)
    return bytes(coco_mask.merge(parts)["counts"])
