"""RefCOCO, RefCOCO+ and RefCOCOg as JSON files of COCO's form, one for each split.

finetune_refcoco_train.json is MDETR's; instances_refcoco_train.json is what ReferFormer's and
SAMWISE's converter writes. An entry of `images` is a sentence: {id, file_name, height, width,
caption, original_id}; its `annotations` are the referents: {image_id, original_id, segmentation}.
MDETR's have no segmentation: it is then taken from COCO's own file of instances.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.documents import mapping
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.layouts import MOMENTS_FILE
from schemas.wording import amount
from stages.core.datasets.documents.coco_instances import (
    ANNOTATIONS,
    IMAGES,
    CocoImage,
    Referent,
    coco_image,
    one_frame_track,
    stream_tracks,
    whole_id,
)
from stages.core.datasets.documents.json_stream import stream_items
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.images import ImageSentences, image_folder, require_no_subfolder
from stages.core.datasets.layouts.refcoco import INSTANCES_FILE
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression

_FILE = re.compile(r"(?:finetune|instances)_(g?ref[a-z]+\+?)_(\w+)\.json")
_INSTANCES = (INSTANCES_FILE, "instances_train2014.json", "annotations/instances_train2014.json")
_HINT = (
    "the sentences' file has no segmentation; put COCO's instances_train2014.json, or the "
    "instances.json of the data set's own download, beside it"
)


class RefcocoJson:
    """One split of RefCOCO, RefCOCO+ or RefCOCOg in JSON.

    Args:
        source: its root has the files; its split is that of one, with the data set before it
            (`refcoco+_train`) if the folder has several. Its frames are the folder of the images.

    Raises:
        ConfigError: no split is named and there are several, or there are several of its name.
        MissingInput: there is no file of the split.
        CorruptInput: the file is not as above, or is cut off.
    """

    layout = "refcoco-json"
    images = True
    frames_unlisted = False

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        require_no_subfolder(source)
        self.frames_dir = image_folder(source)
        self.masks = _choose(source.root, source.split)
        self.moments = source.root / MOMENTS_FILE
        self._root = source.root
        self._faults = faults
        self._sentences = ImageSentences()
        self._outlined: set[int] = set()
        """Annotations with a segmentation in the file, by COCO's ids."""
        self._images: dict[int, CocoImage] = {}
        """Image of each sentence, by the sentence's id."""
        self._referents: dict[int, Referent] = {}
        self._read()
        self.notes: Mapping[str, int] = {"blank sentences left out": self._sentences.blank}

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder has a file of this form, by its name."""
        return bool(_files(folder))

    def videos(self) -> list[RawVideo]:
        """List the images that have sentences, in the order of the file."""
        return self._sentences.videos(self.frames_dir)

    def expressions(self) -> list[Expression]:
        """List the sentences image by image, in the order of the file."""
        return self._sentences.expressions()

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the masks of the referents, each of which may be listed for many sentences."""
        left = self._outlined & self._referents.keys()
        bare = {k: v for k, v in self._referents.items() if k not in self._outlined}
        for _, item in stream_items(self.masks, (ANNOTATIONS,)) if left else ():
            try:
                entry, _, number = self._annotation(item)
            except TglError:
                continue  # reported when the sentences were read
            if number not in left or not entry.get("segmentation"):
                continue
            left.discard(number)
            where, image = f"{self.masks}, annotation {number}", self._referents[number].image
            try:
                yield one_frame_track(number, entry, image, where)
            except TglError as error:
                self._faults(error)
        if bare:
            paths = [self._root / name for name in _INSTANCES]
            path = next((path for path in paths if os.path.lexists(path)), paths[0])
            yield from stream_tracks(path, bare, self._faults, hint=_HINT)

    def _read(self) -> None:
        """Read the sentences, and which annotation is in which image."""
        captions: dict[int, object] = {}
        originals: dict[int, int | None] = {}
        annotations: defaultdict[int, list[int]] = defaultdict(list)
        for name, item in stream_items(self.masks, (IMAGES, ANNOTATIONS)):
            try:
                if name == ANNOTATIONS:
                    entry, sentence, number = self._annotation(item)
                    annotations[sentence].append(number)
                    if entry.get("segmentation"):
                        self._outlined.add(number)
                    continue
                entry = mapping(item, f"{self.masks}, images")
                sentence = whole_id(entry, "id", f"{self.masks}, images")
                if sentence in captions:
                    raise CorruptInput(f"lists image {sentence} twice", where=self.masks)
                self._images[sentence] = coco_image(entry, f"{self.masks}, image {sentence}")
                captions[sentence] = entry.get("caption")
                original = entry.get("original_id")
                originals[sentence] = original if type(original) is int else None
            except TglError as error:
                self._faults(error)
        for sentence, text in captions.items():
            self._add(sentence, text, originals[sentence], annotations.pop(sentence, []))
        if annotations:
            images = amount(len(annotations), "images")
            what = f"has annotations of {images} that it does not list, first {min(annotations)}"
            self._faults(CorruptInput(what, where=self.masks))

    def _add(
        self, sentence: int, text: object, image_id: int | None, annotations: list[int]
    ) -> None:
        image = self._images[sentence]
        try:
            anno_ids = tuple(str(number) for number in annotations)
            self._sentences.add(image.name, text, anno_ids, f"{self.masks}, image {sentence}")
        except TglError as error:
            self._faults(error)
            return
        for number in annotations:
            self._referents[number] = Referent(image, image_id)

    def _annotation(self, item: object) -> tuple[Mapping[str, Any], int, int]:
        """Read an annotation: its entry, the sentence's id, and its own in COCO."""
        entry = mapping(item, f"{self.masks}, annotations")
        number = whole_id(entry, "id", f"{self.masks}, annotations")
        where = f"{self.masks}, annotation {number}"
        own = "original_id" if "original_id" in entry else "id"
        return entry, whole_id(entry, "image_id", where), whole_id(entry, own, where)


def _files(folder: Path) -> dict[str, tuple[str, str]]:
    """(data set, split) of each file of this form, by the file's name."""
    with os.scandir(folder) as entries:
        found = {e.name: match for e in entries if (match := _FILE.fullmatch(e.name))}
    return {name: (found[name][1], found[name][2]) for name in sorted(found)}


def _choose(folder: Path, split: str | None) -> Path:
    """The file of a split: `train`, `refcoco_train`, or its whole name without `.json`."""
    files = _files(folder)
    if not files:
        raise MissingInput("has no finetune_refcoco_train.json or its like", where=folder)
    names = {
        file: (own, f"{dataset}_{own}", file.removesuffix(".json"))
        for file, (dataset, own) in files.items()
    }
    chosen = [file for file in files if split is None or split in names[file]]
    if len(chosen) == 1:
        return folder / chosen[0]
    taken = [name for every in names.values() for name in every]
    unique = [next(n for n in names[file] if taken.count(n) == 1) for file in chosen or files]
    choices = f"choose one with --split: {', '.join(unique)}"
    if not chosen:
        raise MissingInput(f"has no split {split}", where=folder, hint=choices)
    what = "the data set has several splits" if split is None else f"several files have {split}"
    raise ConfigError(what, where="--split", hint=choices)
