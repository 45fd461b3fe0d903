"""RefCOCO, RefCOCO+ and RefCOCOg as they are downloaded: refs(<by>).p and instances.json.

The pickle lists the refs: {ref_id, ann_id, image_id, split, sentences: [{sent, raw, tokens,
sent_id}], ...}. `by` is who divided them into splits: unc, umd or google. Source: the data set's
own interface, github.com/lichengunc/refer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.documents import mapping
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.layouts import MOMENTS_FILE
from stages.core.datasets.documents.coco_instances import (
    Referent,
    read_images,
    stream_tracks,
    whole_id,
)
from stages.core.datasets.documents.plain_pickle import read_plain_pickle
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.images import ImageSentences, image_folder, require_no_subfolder
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression

INSTANCES_FILE = "instances.json"
_REFS = re.compile(r"refs\((\w+)\)\.p")
_HINT = "it is part of the data set's own download, beside refs(unc).p or refs(umd).p"


class RefcocoRefs:
    """One split of a downloaded RefCOCO, RefCOCO+ or RefCOCOg.

    Args:
        source: its root has refs(unc).p, refs(umd).p or refs(google).p, and instances.json; its
            split is one in that file, with `unc_`, `umd_` or `google_` before it if there are
            several files. Its frames are the folder of the images.

    Raises:
        ConfigError: no split is named, or there are several of its name.
        MissingInput: a file is missing, or no ref is of the split.
        CorruptInput: a file is not what the data set has, see :mod:`.documents.plain_pickle`.
    """

    layout = "refcoco"
    images = True
    frames_unlisted = False

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        require_no_subfolder(source)
        self.frames_dir = image_folder(source)
        self.masks = source.root / INSTANCES_FILE
        self.moments = source.root / MOMENTS_FILE
        self._faults = faults
        self._sentences = ImageSentences()
        self._referents: dict[int, Referent] = {}
        path, split = _choose(source.root, source.split)
        self._add(path, _refs_of(path, split))
        self.notes: Mapping[str, int] = {"blank sentences left out": self._sentences.blank}

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder has a file of refs."""
        return bool(_refs_files(folder))

    def videos(self) -> list[RawVideo]:
        """List the images that the split has sentences of, in the order of the refs."""
        return self._sentences.videos(self.frames_dir)

    def expressions(self) -> list[Expression]:
        """List the sentences image by image, in the order of the refs."""
        return self._sentences.expressions()

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the masks of the split's referents; other annotations are passed over."""
        yield from stream_tracks(self.masks, self._referents, self._faults, hint=_HINT)

    def _add(self, path: Path, refs: list[tuple[int, Mapping[str, Any]]]) -> None:
        """Add the sentences of refs, numbered as in the file."""
        wanted = {ref["image_id"] for _, ref in refs if type(ref.get("image_id")) is int}
        images = read_images(self.masks, wanted, self._faults, hint=_HINT)
        for number, ref in refs:
            where = f"{path}, ref {number}"
            try:
                image_id, ann_id = (whole_id(ref, key, where) for key in ("image_id", "ann_id"))
                image = images.get(image_id)
                if image is None:
                    raise CorruptInput(f"{self.masks} has no image {image_id}", where=where)
                self._referents[ann_id] = Referent(image, image_id)
                for sentence in ref["sentences"]:
                    text = mapping(sentence, f"{where}, sentences").get("sent")
                    self._sentences.add(image.name, text, (str(ann_id),), where)
            except TglError as error:
                self._faults(error)


def _refs_files(folder: Path) -> dict[str, Path]:
    """Files of refs by who divided them."""
    with os.scandir(folder) as entries:
        found = {e.name: match[1] for e in entries if (match := _REFS.fullmatch(e.name))}
    return {found[name]: folder / name for name in sorted(found)}


def _choose(folder: Path, split: str | None) -> tuple[Path, str | None]:
    """The file of refs that has a split, and the split's name in it; None if none is named."""
    files = _refs_files(folder)
    if not files:
        raise MissingInput("has no refs(unc).p, refs(umd).p or refs(google).p", where=folder)
    by, _, rest = (split or "").partition("_")
    if by in files and rest:
        return files[by], rest
    if len(files) > 1:
        names = ", ".join(path.name for path in files.values())
        wanted = " or ".join(f"{name}_{split or 'train'}" for name in files)
        raise ConfigError(
            f"several files divide the data set into splits: {names}",
            where="--split",
            hint=f"choose one of them, as in --split {wanted}",
        )
    return next(iter(files.values())), split


def _refs_of(path: Path, split: str | None) -> list[tuple[int, Mapping[str, Any]]]:
    """The refs of a split with their numbers in the file, each with a list of sentences."""
    document = read_plain_pickle(path)
    if not isinstance(document, list) or not document:
        raise CorruptInput("has no list of refs", where=path)
    refs = [(k, mapping(ref, f"{path}, ref {k}")) for k, ref in enumerate(document)]
    total = 0
    for number, ref in refs:
        sentences = ref.get("sentences")
        if not isinstance(sentences, list):
            raise CorruptInput("has no list of sentences", where=f"{path}, ref {number}")
        total += len(sentences)
    if total > path.stat().st_size:  # one list may stand in a pickle a million times
        raise CorruptInput(f"cannot hold its {total:,} sentences", where=path)
    names = sorted({str(ref.get("split")) for _, ref in refs})
    choices = f"choose one with --split: {', '.join(names)}"
    if split is None:
        raise ConfigError("the data set has several splits", where="--split", hint=choices)
    if split not in names:
        raise MissingInput(f"has no split {split}", where=path, hint=choices)
    return [(number, ref) for number, ref in refs if ref.get("split") == split]
