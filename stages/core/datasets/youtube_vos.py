"""Ref-YouTube-VOS, and Ref-DAVIS17 after the customary conversion to the same layout.

<root>/<split>/{JPEGImages,Annotations}/<video>/, <root>/meta_expressions/<split>/
meta_expressions.json. `obj_id` is one string: the object's number in the palette PNGs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.documents import load_object, mapping
from schemas.errors import MissingInput
from schemas.layouts import FRAMES_FOLDER, MEVIS_EXPRESSIONS, MOMENTS_FILE
from stages.core.datasets.documents.json_values import id_list
from stages.core.datasets.documents.meta_expressions import MetaExpressions
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.palette import count_unmasked, palette_tracks, track_id
from stages.core.datasets.records import RawExpression, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime

LAYOUT = "ref-youtube-vos"
META_FOLDER = "meta_expressions"
ANNOTATIONS_FOLDER = "Annotations"
_VALID, _TEST = "valid", "test"


class YoutubeVosSplit:
    """One split of a data set in the layout of Ref-YouTube-VOS.

    The valid meta file of Ref-YouTube-VOS lists the test videos too; where the test meta file is
    there, they are left out of valid and counted.

    Args:
        root: a split's folder, `<data set>/train`.

    Raises:
        MissingInput: no meta file for this split.
    """

    layout = LAYOUT

    def __init__(self, root: Path, faults: Faults = strict):
        path = meta_path(root)
        if not os.path.lexists(path):
            raise MissingInput("the split has no meta file", where=path)
        self.pictures = root / FRAMES_FOLDER
        self.masks = root / ANNOTATIONS_FOLDER
        self.moments = root / MOMENTS_FILE
        self._faults = faults
        self._meta = MetaExpressions(path, _ids, faults)
        left_out = self._leave_to_test(root) if root.name == _VALID else 0
        self.notes: Mapping[str, int] = {
            "videos left to the test split": left_out,
            "frames without annotation": count_unmasked(self.masks, self._meta.videos()),
        }

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the file."""
        return self._meta.videos()

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the file."""
        return self._meta.expressions()

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Tracks of all objects in the PNGs, videos side by side."""
        if self.masks.is_dir():
            yield from palette_tracks(self.masks, self.videos(), runtime, self._faults)

    def _leave_to_test(self, root: Path) -> int:
        path = meta_path(root.with_name(_TEST))
        if not os.path.lexists(path):
            return 0
        test = mapping(load_object(path).get("videos"), f"{path}, videos")
        shared = set(self._meta.entries) & set(test)
        for video_id in shared:
            del self._meta.entries[video_id]
        return len(shared)


def is_youtube_vos(root: Path) -> bool:
    """Whether a folder looks like a split in this layout."""
    return (root / FRAMES_FOLDER).is_dir() and os.path.lexists(meta_path(root))


def meta_path(split: Path) -> Path:
    """Where the sentences of a split's folder are."""
    return split.parent / META_FOLDER / split.name / MEVIS_EXPRESSIONS


def _ids(
    video_id: str, entry: Mapping[str, Any], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    objects = id_list(entry.get("obj_id"), where)
    return objects, tuple(track_id(video_id, number) for number in objects)
