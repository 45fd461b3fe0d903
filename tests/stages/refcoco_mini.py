"""RefCOCO in miniature: the download with its pickle of Python 2, and both kinds of JSON files."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from layout_minis import write_image

WIDTH, HEIGHT = 14, 10
SQUARE = [[2, 1, 6, 1, 6, 5, 2, 5]]
"""Pixels 2 to 5 across and 1 to 4 down."""
_FREQUENT = (
    "sentences",
    "sent",
    "raw",
    "tokens",
    "sent_id",
    "split",
    "train",
    "ann_id",
    "image_id",
)


def image_name(number: int) -> str:
    return f"COCO_train2014_{number:012d}"


def python2_pickle(value: Any) -> bytes:
    """The pickle that Python 2's cPickle writes by default: lines of text, names once."""
    parts: list[bytes] = []
    places: dict[str, int] = {}
    count = 0

    def put() -> bytes:
        nonlocal count
        count += 1
        return b"p%d\n" % count

    def add(item: Any) -> None:
        if isinstance(item, dict):
            parts.append(b"(d" + put())
            for key, inner in item.items():
                add(key)
                add(inner)
                parts.append(b"s")
        elif isinstance(item, list):
            parts.append(b"(l" + put())
            for inner in item:
                add(inner)
                parts.append(b"a")
        elif isinstance(item, bool) or item is None:
            parts.append({None: b"N", True: b"I01\n", False: b"I00\n"}[item])
        elif isinstance(item, int):
            parts.append(b"I%d\n" % item if abs(item) < 2**31 else b"L%dL\n" % item)
        elif isinstance(item, float):
            parts.append(b"F" + repr(item).encode() + b"\n")
        elif item in places:
            parts.append(b"g%d\n" % places[item])
        elif item.isascii():
            parts.append(b"S" + repr(item).encode() + b"\n" + put())
            if item in _FREQUENT:
                places[item] = count
        else:
            line = item.replace("\\", r"\u005c").replace("\n", r"\u000a")
            parts.append(b"V" + line.encode("raw-unicode-escape") + b"\n" + put())

    add(value)
    return b"".join(parts) + b"."


@dataclass
class RefcocoMini:
    """A data set to change and write.

    Attributes:
        root: folder that it is written to.
        objects: (image, segmentation) by the annotation's id.
        refs: (annotation's id, split, sentences).
    """

    root: Path
    objects: dict[int, tuple[int, Any]] = field(
        default_factory=lambda: {
            170: (9, SQUARE),
            171: (9, {"size": [HEIGHT, WIDTH], "counts": [0, 3, 137]}),
            180: (4, [[0, 0, 3, 0, 3, 3, 0, 3], [7, 7, 9, 7, 9, 9, 7, 9], [1, 1, 2, 2]]),
            190: (5, {"size": [HEIGHT, WIDTH], "counts": "04X4"}),
            191: (5, SQUARE),
        }
    )
    refs: list[tuple[int, str, list[str]]] = field(
        default_factory=lambda: [
            (170, "train", ["the left man", "man in blue"]),
            (180, "train", ["both white dogs"]),
            (190, "testA", ["a person's café"]),
            (171, "train", ["the  other one", " "]),
            (191, "val", ["woman"]),
        ]
    )
    without: tuple[int, ...] = ()
    """Images without a file."""

    def images(self) -> list[dict[str, Any]]:
        numbers = dict.fromkeys(image for image, _ in self.objects.values())
        return [
            {"id": n, "file_name": f"{image_name(n)}.jpg", "height": HEIGHT, "width": WIDTH}
            for n in numbers
        ]

    def instances(self) -> dict[str, Any]:
        annotations = [
            {"segmentation": outline, "iscrowd": int(isinstance(outline, dict)), "id": anno,
             "image_id": image, "bbox": [1.0, 1.0, 4.0, 4.0], "category_id": 1, "area": 16.0}
            for anno, (image, outline) in self.objects.items()
        ]  # fmt: skip
        document = {"info": {"description": "mini"}, "annotations": annotations}
        return {**document, "licenses": [{"id": 1}], "images": self.images(), "categories": []}

    def ref_list(self) -> list[dict[str, Any]]:
        found, sent_id = [], 0
        for number, (anno, split, texts) in enumerate(self.refs):
            image = self.objects[anno][0] if anno in self.objects else 9
            sentences = []
            for text in texts:
                sentences.append({"tokens": text.split(), "raw": text.upper(), "sent_id": sent_id,
                                  "sent": text})  # fmt: skip
                sent_id += 1
            found.append(
                {"sent_ids": [s["sent_id"] for s in sentences], "ann_id": anno, "ref_id": number,
                 "file_name": f"{image_name(image)}_{number}.jpg", "image_id": image,
                 "split": split, "sentences": sentences, "category_id": 1}
            )  # fmt: skip
        return found

    def write_images(self) -> None:
        for image in self.images():
            if image["id"] not in self.without:
                write_image(self.root / "train2014" / image["file_name"], (WIDTH, HEIGHT))

    def write(self, *, by: str = "unc", protocol: int | None = None) -> Path:
        """Write the download; `protocol` is that of Python 3's pickle, None Python 2's default."""
        self.write_images()
        (self.root / "instances.json").write_text(json.dumps(self.instances()))
        refs = self.ref_list()
        data = python2_pickle(refs) if protocol is None else pickle.dumps(refs, protocol)
        (self.root / f"refs({by}).p").write_bytes(data)
        return self.root

    def converted(self, split: str, *, segmentation: bool) -> dict[str, Any]:
        """One entry of `images` and of `annotations` per sentence."""
        known = {image["id"]: image for image in self.images()}
        images, annotations = [], []
        for ref in self.ref_list():
            for sentence in ref["sentences"] if ref["split"] == split else ():
                number = 1000 + len(images)
                image_id, outline = self.objects[ref["ann_id"]]
                images.append({**known[image_id], "id": number, "original_id": image_id,
                               "caption": sentence["sent"], "dataset_name": "refcoco",
                               "tokens_negative": [[0, 3]]})  # fmt: skip
                annotation = {"iscrowd": 0, "image_id": number, "area": 16.0, "category_id": 1}
                annotation |= {"id": 5000 + len(annotations), "original_id": ref["ann_id"]}
                annotation |= {"bbox": [1.0, 1.0, 4.0, 4.0], "tokens_positive": [[0, 3]]}
                annotations.append(
                    {**annotation, "segmentation": outline} if segmentation else annotation
                )
        return {"info": {}, "licenses": [], "images": images, "annotations": annotations,
                "categories": [{"id": 1}]}  # fmt: skip

    def write_json(self, *splits: str, mdetr: bool = False, name: str = "refcoco") -> Path:
        """Write the files that converters make; MDETR's has no segmentation."""
        self.write_images()
        kind = "finetune" if mdetr else "instances"
        for split in splits:
            document = self.converted(split, segmentation=not mdetr)
            (self.root / f"{kind}_{name}_{split}.json").write_text(json.dumps(document))
        return self.root


@pytest.fixture
def refcoco(tmp_path: Path) -> RefcocoMini:
    return RefcocoMini(tmp_path / "data" / "refcoco")
