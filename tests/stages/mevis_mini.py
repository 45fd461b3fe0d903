"""MeViS in miniature: three splits as downloaded, with moments in those that have masks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.core.media.rle import encode

HEIGHT, WIDTH = 36, 48
FRAMES = 6
SIDE = 12
SENTENCES = {
    "0": ("the square that moves right", [0], [[1, 4]]),
    "1": ("the square moving left", [1], [[3, 6]]),
    "2": ("both squares", [0, 1], [[0, 3], [4, 6]]),
}
"""Sentence, objects, and the moment of each object, in videos of 6 frames."""


@dataclass(frozen=True)
class MevisMini:
    """A data set to write.

    Attributes:
        frames: of each video; moments keep their part of it.
        scale: factor of the videos' height and width.
    """

    frames: int = FRAMES
    scale: int = 1

    def write(self, folder: Path) -> None:
        """Write the whole download, with moments of the two splits that have masks."""
        self.write_split(folder / "train", 2, labelled=True)
        self.write_split(folder / "valid_u", 1, labelled=True)
        self.write_split(folder / "valid", 1, labelled=False)

    def write_split(self, folder: Path, videos: int, *, labelled: bool) -> None:
        """Write a split; only `labelled` ones have objects, masks and moments."""
        meta: dict[str, Any] = {}
        masks: dict[str, Any] = {}
        moments: dict[str, Any] = {}
        for number in range(videos):
            video = f"{folder.name}_{number}"
            names = self._write_video(folder / "JPEGImages" / video)
            own = [2 * number, 2 * number + 1]
            sentences: dict[str, Any] = {}
            spans: dict[str, Any] = {}
            for key, (text, objects, found) in SENTENCES.items():
                sentences[key] = {"exp": text}
                if labelled:
                    anno = [own[thing] for thing in objects]
                    sentences[key] |= {"obj_id": objects, "anno_id": anno}
                    pairs = zip(anno, map(self._span, found), strict=True)
                    spans[key] = {"moments": {str(name): [span] for name, span in pairs}}
            meta[video] = {"expressions": sentences, "frames": names}
            moments[video] = {"expressions": spans}
            masks |= {str(name): self._track(thing) for thing, name in enumerate(own)}
        (folder / "meta_expressions.json").write_text(json.dumps({"videos": meta}))
        if labelled:
            (folder / "mask_dict.json").write_text(json.dumps(masks))
            document = {"format": "tgl-moments", "version": 1, "frame_unit": "index"}
            (folder / "moments.json").write_text(json.dumps(document | {"videos": moments}))

    def _span(self, span: list[int]) -> list[int]:
        return [frame * self.frames // FRAMES for frame in span]

    def _write_video(self, folder: Path) -> list[str]:
        """Write the frames of a video; their names."""
        folder.mkdir(parents=True)
        names = [f"{frame:05d}" for frame in range(self.frames)]
        for frame, name in enumerate(names):
            pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            for thing, colour in enumerate(((220, 40, 40), (40, 60, 220))):
                pixels[place(thing, frame)] = colour
            Image.fromarray(self._enlarged(pixels)).save(folder / f"{name}.jpg")
        return names

    def _track(self, thing: int) -> list[dict[str, Any]]:
        """The masks of one object, as mask_dict.json has them."""
        found = []
        for frame in range(self.frames):
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[place(thing, frame)] = True
            large = self._enlarged(mask)
            found.append({"size": list(large.shape), "counts": encode(large)["counts"].decode()})
        return found

    def _enlarged(self, image: np.ndarray) -> np.ndarray:
        return image.repeat(self.scale, axis=0).repeat(self.scale, axis=1)


def place(thing: int, frame: int) -> tuple[slice, slice]:
    """Rows and columns of one of the two squares."""
    left = 4 + 5 * frame if thing == 0 else WIDTH - SIDE - 4 - 5 * frame
    top = 3 + 18 * thing
    return slice(top, top + SIDE), slice(left, left + SIDE)
