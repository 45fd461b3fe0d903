"""Splits of MeViS v1 and v2: meta_expressions.json, mask_dict.json, JPEGImages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import (
    FRAMES_FOLDER,
    MEVIS_EXPRESSIONS,
    MEVIS_EXPRESSIONS_V2,
    MEVIS_MASKS,
    MOMENTS_FILE,
)
from stages.core.datasets.documents.json_stream import stream_members
from stages.core.datasets.documents.json_values import id_list, whole_text
from stages.core.datasets.documents.meta_expressions import MetaExpressions
from stages.core.datasets.documents.rle_json import read_track
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression

_META_NAMES = (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2)


class MevisSplit:
    """A split of MeViS.

    Expressions of v2 without objects are kept with empty id lists; unknown fields are ignored.

    Args:
        source: its folder has meta_expressions.json.

    Raises:
        MissingInput: no meta file.
        CorruptInput: the meta file is not as MeViS writes it.
    """

    layout = "mevis"
    images = False
    frames_unlisted = False

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        folder = source.folder
        self.frames_dir = folder / FRAMES_FOLDER
        self.masks = folder / MEVIS_MASKS
        self.moments = folder / MOMENTS_FILE
        self.notes: Mapping[str, int] = {}
        self._faults = faults
        self._meta = MetaExpressions(meta_path(folder), faults)

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder looks like a split of MeViS."""
        return any(os.path.lexists(folder / name) for name in _META_NAMES)

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the file."""
        return self._meta.videos()

    def expressions(self) -> list[Expression]:
        """List the expressions in the order of the file."""
        return self._meta.expressions(_ids)

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the tracks of mask_dict.json; none if the split has no such file."""
        if not os.path.lexists(self.masks):
            if any(expression.anno_ids for expression in self.expressions()):
                self._faults(
                    MissingInput("the sentences have anno ids, but no masks", where=self.masks)
                )
            return
        for anno_id, masks in stream_members(self.masks):
            try:
                whole_text(anno_id, self.masks)
                yield anno_id, read_track(masks, where=f"{self.masks}, anno id {anno_id}")
            except TglError as error:
                self._faults(error)


def meta_path(folder: Path) -> Path:
    """Find the meta file of a split.

    Raises:
        MissingInput: there is none.
    """
    for name in _META_NAMES:
        if os.path.lexists(folder / name):
            return folder / name
    raise MissingInput(
        f"has no {MEVIS_EXPRESSIONS}", where=folder, hint="name the folder of one split"
    )


def _ids(
    video_id: str, entry: Mapping[str, Any], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    objects = id_list(entry.get("obj_id"), where)
    annos = id_list(entry.get("anno_id"), where)
    if objects and annos and len(objects) != len(annos):
        raise CorruptInput(f"lists {len(objects)} obj_id and {len(annos)} anno_id", where=where)
    if len(set(annos)) != len(annos):
        raise CorruptInput("lists an anno_id twice", where=where)
    return objects, annos
