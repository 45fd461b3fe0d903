"""Files of COCO instances: images and annotations in two lists, read as streams."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from schemas.documents import mapping
from schemas.errors import CorruptInput, TglError
from schemas.layouts import safe_name
from stages.core.datasets.documents.coco_masks import read_segmentation
from stages.core.datasets.documents.json_stream import stream_items
from stages.core.datasets.faults import Faults
from stages.core.datasets.records import RawTrack
from stages.core.media.frames import FRAME_SUFFIXES, MAX_PIXELS

IMAGES, ANNOTATIONS = "images", "annotations"
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image as it is listed; `name` is that of its file, without the suffix."""

    name: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Referent:
    """An object that sentences refer to: its image, and the id of that among COCO's images."""

    image: CocoImage
    image_id: int | None


def read_images(
    path: Path, wanted: Container[int], faults: Faults, *, hint: str | None = None
) -> dict[int, CocoImage]:
    """Read the images of a file of instances by id.

    Args:
        wanted: ids of the images to read.
        hint: what to do if there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is not JSON with a list of images, or is cut off.
    """
    found = {}
    for _, item in stream_items(path, (IMAGES,), missing="no such file of objects", hint=hint):
        try:
            entry = mapping(item, f"{path}, images")
            number = whole_id(entry, "id", f"{path}, images")
            if number in wanted:
                found[number] = coco_image(entry, f"{path}, image {number}")
        except TglError as error:
            faults(error)
    return found


def stream_tracks(
    path: Path, referents: Mapping[int, Referent], faults: Faults, *, hint: str | None = None
) -> Iterator[RawTrack]:
    """Stream the masks of some annotations of a file of instances, as tracks of one frame.

    Args:
        referents: by the annotations' ids.
        hint: what to do if there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is not JSON with a list of annotations, is cut off, or has none of the
            annotations.
    """
    any_found = False
    for _, item in stream_items(path, (ANNOTATIONS,), missing="no such file of objects", hint=hint):
        try:
            entry = mapping(item, f"{path}, annotations")
            number = whole_id(entry, "id", f"{path}, annotations")
            referent = referents.get(number)
            if referent is None:
                continue
            any_found = True
            where = f"{path}, annotation {number}"
            if referent.image_id is not None and entry.get("image_id") != referent.image_id:
                raise CorruptInput(
                    f"belongs to image {entry.get('image_id')!r}, its sentences to image "
                    f"{referent.image_id}",
                    where=where,
                )
            yield one_frame_track(number, entry, referent.image, where)
        except TglError as error:
            faults(error)
    if referents and not any_found:
        raise CorruptInput(
            "has none of the annotations that the sentences refer to",
            where=path,
            hint="the files of the data set do not belong together",
        )


def one_frame_track(
    anno_id: int, entry: Mapping[str, Any], image: CocoImage, where: str
) -> RawTrack:
    """Read the mask of an annotation as a track of one frame.

    Raises:
        CorruptInput: its segmentation is missing, or not as COCO writes it.
    """
    mask = read_segmentation(entry.get("segmentation"), image.height, image.width, where=where)
    return str(anno_id), [mask]


def coco_image(entry: Mapping[str, Any], where: str) -> CocoImage:
    """Read the entry of an image.

    Raises:
        CorruptInput: it has no file name of an image, or no size.
    """
    name = entry.get("file_name")
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    if path.suffix.lower() not in FRAME_SUFFIXES or not isinstance(name, str):
        raise CorruptInput("has no file_name of an image", where=where)
    stem = safe_name(name.removesuffix(path.suffix), where=where)
    size = entry.get("height"), entry.get("width")
    if not all(type(n) is int and n > 0 for n in size) or size[0] * size[1] > MAX_PIXELS:  # type: ignore[operator]
        raise CorruptInput("has no height and width in pixels", where=where)
    return CocoImage(stem, *size)  # type: ignore[arg-type]


def whole_id(entry: Mapping[str, Any], key: str, where: str) -> int:
    """Return one of an entry's ids.

    Raises:
        CorruptInput: it is missing, or not a whole number from 0 on.
    """
    value = entry.get(key)
    if type(value) is not int or not 0 <= value <= _LARGEST_ID:
        what = f"has no {key}" if value is None else f"has a {key} that is no whole number"
        raise CorruptInput(what, where=where)
    return value
