"""MeViS v1 and v2 splits: meta_expressions.json, mask_dict.json, JPEGImages."""

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
from stages.core.datasets.records import RawExpression, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime

LAYOUT = "mevis"


class MevisSplit:
    """A split folder of MeViS.

    Expressions of v2 without objects are kept with empty id lists; unknown fields are ignored.

    Args:
        root: the folder with meta_expressions.json.

    Raises:
        MissingInput: no meta file.
        CorruptInput: the meta file is not as MeViS writes it.
    """

    layout = LAYOUT

    def __init__(self, root: Path, faults: Faults = strict):
        self.pictures = root / FRAMES_FOLDER
        self.masks = root / MEVIS_MASKS
        self.moments = root / MOMENTS_FILE
        self.notes: Mapping[str, int] = {}
        self._faults = faults
        self._meta = MetaExpressions(_meta_path(root), _ids, faults)

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the file."""
        return self._meta.videos()

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the file."""
        return self._meta.expressions()

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Mask tracks in the order of mask_dict.json; none where the split has no such file."""
        if not os.path.lexists(self.masks):
            if any(expression.anno_ids for expression in self.expressions()):
                self._faults(
                    MissingInput(
                        "the sentences name anno ids, and there are no masks", where=self.masks
                    )
                )
            return
        for anno_id, masks in stream_members(self.masks):
            try:
                whole_text(anno_id, self.masks)
                yield anno_id, read_track(masks, where=f"{self.masks}, anno id {anno_id}")
            except TglError as error:
                self._faults(error)


def is_mevis(root: Path) -> bool:
    """Whether a folder looks like a split of MeViS."""
    return any(os.path.lexists(root / name) for name in (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2))


def _meta_path(root: Path) -> Path:
    for name in (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2):
        if os.path.lexists(root / name):
            return root / name
    raise MissingInput(
        f"has no {MEVIS_EXPRESSIONS}", where=root, hint="name the folder of one split"
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
