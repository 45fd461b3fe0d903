"""Which objects a video has and what they look like."""

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
    """An object of a video; `category` says its looks in words, empty where nothing is known."""

    anno_id: str
    category: str = ""


def read_objects(path: Path, index: Index) -> dict[str, list[KnownObject]]:
    """Objects by video from an objects.json; those of videos that the index lacks are left out.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is no JSON, or an entry is not as expected.
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
            raise CorruptInput(f"video and category of object {anno_id} are no texts", where=path)
        if video in index.videos:
            found[video].append(KnownObject(anno_id, category))
    return dict(found)


def referents_as_objects(index: Index) -> dict[str, list[KnownObject]]:
    """Objects by video where no list of objects is given: whatever any sentence refers to."""
    return {
        video: [
            KnownObject(anno_id)
            for anno_id in sorted({a for e in index.expressions_of(video) for a in e.anno_ids})
        ]
        for video in index.videos
    }


def _read_document(path: Path) -> dict[str, Any]:
    """The objects of the document by annotation id."""
    document = load_object(path)
    if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise SchemaMismatch(f"not a {FORMAT} document of version {VERSION}", where=path)
    objects = document.get("objects")
    if not isinstance(objects, dict):
        raise CorruptInput("lacks the key objects", where=path)
    return objects
