"""The masks of predictions: per sentence, or per object where single objects are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import (
    MASK_SUFFIX,
    OBJECTS_FOLDER,
    OBJECTS_TABLE,
    natural_key,
    object_mask_path,
)
from schemas.parquet import read_table
from schemas.tables import OBJECTS
from stages.core.datasets.palette import read_numbers
from stages.core.index.index import Index
from stages.core.index.masks import Track
from stages.core.media.rle import encode
from stages.tools.export_masks.config import REFERENT
from stages.tools.export_masks.index_source import export_video, texts_of
from stages.tools.export_masks.records import OBJECT_LABEL, ExportObject, ExportVideo

_ASSUMED_SUFFIX = ".jpg"
_JOINED = "-"
"""Between sentence and track in the id of a predicted object: two sentences may share a track."""


class PredictionSource:
    """Masks of predictions.

    Args:
        preds: `<video>/<expression id>/<frame>.png`.
        index: has the sentences, frames and sizes; None takes names and sizes from the PNGs.
        per: REFERENT or SENTENCE.

    Raises:
        MissingInput: no predictions, or no images of single objects.
    """

    def __init__(self, preds: Path, index: Path | None, per: str):
        self._preds = preds
        self._index = None if index is None else Index.open(index)
        self._numbers = _object_numbers(preds) if per == REFERENT else None
        self._unknown: dict[str, int] = {}
        self._videos = [video for video in self._find_videos() if video.sentences]
        if not self._videos:
            first = next((name for name, count in self._unknown.items() if count), None)
            if first is not None:
                raise MissingInput(
                    f"predictions of videos or sentences that {index} does not have, first {first}",
                    where=preds,
                    hint="name the index that they were made with",
                )
            raise MissingInput("no predictions, expected VIDEO/EXPRESSION/FRAME.png", where=preds)

    def videos(self) -> list[ExportVideo]:
        """All videos with predictions, by name or in the order of the index."""
        return self._videos

    def left_out(self, videos: Sequence[ExportVideo]) -> dict[str, int]:
        """Count folders that the index does not know, and frames without a PNG."""
        return {
            "predictions without a sentence": sum(self._unknown.values()),
            "masks without a file": sum(map(self._count_absent, videos)),
        }

    def tracks(self, video: ExportVideo) -> Iterator[Track]:
        """The masks of each object; a frame without a PNG has none."""
        for known in video.objects:
            if self._numbers is None:
                folder = self._preds / video.video_id / known.object_id
                yield self._track(video, [folder / name for name in _files(video)])
            else:
                yield self._object_track(video, known.object_id)

    def _find_videos(self) -> Iterator[ExportVideo]:
        folders = {
            folder.name: sorted((p.name for p in folder.iterdir() if p.is_dir()), key=natural_key)
            for folder in sorted(self._preds.iterdir())
            if folder.is_dir() and folder.name != OBJECTS_FOLDER and folder.name[0] != "."
        }
        if self._index is None:
            for video_id, names in folders.items():
                yield self._unknown_video(video_id, names)
            return
        texts = texts_of(self._index)
        for video in self._index.videos.values():
            names = folders.pop(video.video_id, [])
            known = {
                name: texts[video.video_id][name] for name in names if name in texts[video.video_id]
            }
            self._unknown[video.video_id] = len(names) - len(known)
            yield export_video(video, self._objects(video.video_id, known), known)
        self._unknown |= {name: len(found) for name, found in folders.items()}

    def _unknown_video(self, video_id: str, names: Sequence[str]) -> ExportVideo:
        """A video of which only the PNGs are known."""
        folders = [self._preds / video_id / name for name in names]
        files = {path.stem: path for f in folders for path in f.glob(f"*{MASK_SUFFIX}")}
        frames = tuple(sorted(files, key=natural_key))
        if not frames:
            return ExportVideo(video_id, (), _ASSUMED_SUFFIX, 0, 0, (), {})
        height, width = read_numbers(files[frames[0]]).shape
        texts = {name: f"expression {name}" for name in names}
        objects = self._objects(video_id, texts)
        return ExportVideo(video_id, frames, _ASSUMED_SUFFIX, height, width, objects, texts)

    def _objects(self, video_id: str, texts: dict[str, str]) -> tuple[ExportObject, ...]:
        if self._numbers is None:
            return tuple(ExportObject(name, text, (name,)) for name, text in texts.items())
        return tuple(
            ExportObject(f"{name}{_JOINED}{anno_id}", OBJECT_LABEL, (name,))
            for name in texts
            for anno_id in self._numbers.get((video_id, name), ())
        )

    def _count_absent(self, video: ExportVideo) -> int:
        wanted = set(_files(video))
        folders = [self._preds / video.video_id / name for name in video.sentences]
        return sum(len(wanted - {path.name for path in folder.iterdir()}) for folder in folders)

    def _object_track(self, video: ExportVideo, object_id: str) -> Track:
        """The masks of one object, from palette images or from PNGs of its own."""
        assert self._numbers is not None
        name, _, anno_id = object_id.partition(_JOINED)
        place = self._preds, video.video_id, name
        own = [object_mask_path(*place, anno_id, frame) for frame in video.frame_names]
        if own[0].parent.is_dir():
            return self._track(video, own)
        paths = [object_mask_path(*place, frame) for frame in video.frame_names]
        return self._track(video, paths, self._numbers[video.video_id, name][anno_id])

    def _track(self, video: ExportVideo, paths: Sequence[Path], number: int | None = None) -> Track:
        """The pixels with a number, or all that are not 0."""
        found: Track = {}
        for frame, path in enumerate(paths):
            if not path.exists():
                continue
            values = read_numbers(path)
            if values.shape != (video.height, video.width):
                size = f"{values.shape[1]}x{values.shape[0]}"
                raise CorruptInput(f"is {size}, its video {video.width}x{video.height}", where=path)
            mask = values != 0 if number is None else values == number
            if np.any(mask):
                found[frame] = encode(mask)
        return found


def _files(video: ExportVideo) -> list[str]:
    return [f"{name}{MASK_SUFFIX}" for name in video.frame_names]


def _object_numbers(preds: Path) -> dict[tuple[str, str], dict[str, int]]:
    """The numbers in palette images of each sentence's tracks."""
    path = preds / OBJECTS_TABLE
    if not path.is_file():
        raise MissingInput(
            f"has no {OBJECTS_TABLE}, so single objects are not known",
            where=preds,
            hint="leave out --per referent",
        )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in read_table(path, OBJECTS).to_pylist():
        key = row["video_id"], row["expression_id"]
        found.setdefault(key, {})[row["anno_id"]] = row["number"]
    return found
