"""The objects of a video and their categories."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import load_object
from schemas.errors import CorruptInput, SchemaMismatch
from stages.core.index.index import Index

FORMAT, VERSION = "tgl-toy-objects", 1


@dataclass(frozen=True)
class KnownObject:
    """An object of a video; `category` describes it in words, empty if it is not known."""

    anno_id: str
    category: str = ""


def read_objects(path: Path, index: Index) -> dict[str, list[KnownObject]]:
    """Read the objects of the index's videos from an objects.json.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is not JSON, or an entry is not as expected.
        SchemaMismatch: it is another format or version.
    """
    document = _read_document(path)
    found: dict[str, list[KnownObject]] = defaultdict(list)
    for anno_id, entry in document.items():
        try:
            video, category = entry["video"], entry["category"]
        except (TypeError, KeyError) as error:
            raise CorruptInput(
                f"object {anno_id} lacks its video or category", where=path
            ) from error
        if not (isinstance(video, str) and isinstance(category, str)):
            raise CorruptInput(
                f"video and category of object {anno_id} are not strings", where=path
            )
        if video in index.videos:
            found[video].append(KnownObject(anno_id, category))
    return dict(found)


def referents_as_objects(index: Index) -> dict[str, list[KnownObject]]:
    """Return the referents of each video's sentences as its objects, for want of a list."""
    return {
        video: [
            KnownObject(anno_id)
            for anno_id in sorted({a for e in index.expressions_of(video) for a in e.anno_ids})
        ]
        for video in index.videos
    }


def _read_document(path: Path) -> dict[str, Any]:
    """Read the objects of the document by anno id."""
    document = load_object(path)
    if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise SchemaMismatch(f"not a {FORMAT} document of version {VERSION}", where=path)
    objects = document.get("objects")
    if not isinstance(objects, dict):
        raise CorruptInput("has no key objects", where=path)
    return objects
