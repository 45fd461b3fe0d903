"""Ref-YouTube-VOS, and Ref-DAVIS17 after the customary conversion to the same layout.

<root>/<split>/{JPEGImages,Annotations}/<video>/, <root>/meta_expressions/<split>/
meta_expressions.json. `obj_id` is one string: the object's number in the palette PNGs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import MissingInput
from schemas.layouts import FRAMES_FOLDER, MEVIS_EXPRESSIONS, MOMENTS_FILE
from stages.core.datasets.documents.json_values import id_list
from stages.core.datasets.documents.meta_expressions import MetaExpressions
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.palette import (
    ANNOTATIONS_FOLDER,
    count_unmasked,
    palette_tracks,
    track_id,
)
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression

META_FOLDER = "meta_expressions"
_VALID, _TEST = "valid", "test"


class YoutubeVosSplit:
    """One split of a data set in the layout of Ref-YouTube-VOS.

    The valid meta file of Ref-YouTube-VOS lists the test videos too; if there is a test meta file,
    they are left out of valid and counted.

    Args:
        source: its folder is that of a split, `<data set>/train`.

    Raises:
        MissingInput: no meta file for this split.
    """

    layout = "ref-youtube-vos"
    images = False
    frames_unlisted = False

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        folder = source.folder
        path = meta_path(folder)
        if not os.path.lexists(path):
            raise MissingInput("the split has no meta file", where=path)
        self.frames_dir = folder / FRAMES_FOLDER
        self.masks = folder / ANNOTATIONS_FOLDER
        self.moments = folder / MOMENTS_FILE
        self._faults = faults
        self._meta = MetaExpressions(path, faults)
        self.notes: Mapping[str, int] = {
            "videos left to the test split": self._drop_test_videos(),
            "frames without annotation": count_unmasked(self.masks, self._meta.videos()),
        }

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder looks like a split in this layout."""
        return (folder / FRAMES_FOLDER).is_dir() and os.path.lexists(meta_path(folder))

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the file."""
        return self._meta.videos()

    def expressions(self) -> list[Expression]:
        """List the expressions in the order of the file."""
        return self._meta.expressions(_ids)

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the tracks of all objects in the PNGs; videos are read in parallel."""
        if self.masks.is_dir():
            yield from palette_tracks(self.masks, self.videos(), runtime, self._faults)

    def _drop_test_videos(self) -> int:
        path = meta_of_test_split(self._meta.path)
        if path is None:
            return 0
        shared = self._meta.entries.keys() & MetaExpressions(path).entries.keys()
        for video_id in shared:
            del self._meta.entries[video_id]
        return len(shared)


def meta_path(split: Path) -> Path:
    """Return the path of the meta file of a split's folder."""
    return split.parent / META_FOLDER / split.name / MEVIS_EXPRESSIONS


def meta_of_test_split(meta: Path) -> Path | None:
    """Find the test split's meta file, whose videos that of valid lists too.

    Args:
        meta: the meta file of any split.

    Returns:
        None if `meta` is not that of valid, or if there is none of test.
    """
    path = meta.parent.with_name(_TEST) / meta.name
    return path if meta.parent.name == _VALID and os.path.lexists(path) else None


def _ids(
    video_id: str, entry: Mapping[str, Any], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    objects = id_list(entry.get("obj_id"), where)
    return objects, tuple(track_id(video_id, number) for number in objects)
