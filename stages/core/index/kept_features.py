"""Features of frames that tgl ground keeps: the note beside them that says what made them.

The features themselves are files of one frame each, see ``schemas.layouts.features_path``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.directories import write_text_atomic
from schemas.documents import load_object, mapping
from schemas.errors import CorruptInput
from schemas.layouts import FEATURES_FILE

_VERSION = 1
_HINT = "rerun tgl ground --keep-features, or remove this file: the frames are encoded again"


@dataclass(frozen=True)
class Kept:
    """The circumstances of one video's features, beside the weights.

    Attributes:
        image_size: side in pixels of the square that the frames were resized to.
        precision: of the network, fp32 or bf16.
    """

    image_size: int
    precision: str


@dataclass(frozen=True)
class KeptVideo(Kept):
    """As :class:`Kept`, with the frames.

    Attributes:
        frames: digest of all of the video's frames, see ``frame_files.frames_digest``.
    """

    frames: str


@dataclass(frozen=True)
class KeptFeatures:
    """The note of an artifact with features.

    Attributes:
        weights: digest of the model's folder, see ``digest.weights_digest``.
        videos: those with features, by id.
    """

    weights: str
    videos: Mapping[str, KeptVideo]

    def write(self, folder: Path) -> None:
        """Write the note into an artifact."""
        videos = {name: asdict(video) for name, video in self.videos.items()}
        document = {"version": _VERSION, "weights": self.weights, "videos": videos}
        write_text_atomic(folder / FEATURES_FILE, json.dumps(document, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> KeptFeatures | None:
        """Read the note of a folder; None where there is none.

        Raises:
            CorruptInput: it is damaged.
        """
        path = folder / FEATURES_FILE
        if not path.exists():
            return None
        document = load_object(path)
        weights, videos = document.get("weights"), document.get("videos")
        if document.get("version") != _VERSION or not isinstance(weights, str):
            raise CorruptInput("is not a note of tgl ground", where=path, hint=_HINT)
        found = {name: _video(entry, path) for name, entry in mapping(videos, path).items()}
        return cls(weights, found)


def _video(entry: Any, where: Path) -> KeptVideo:
    fields = mapping(entry, where)
    size, precision, frames = (fields.get(n) for n in ("image_size", "precision", "frames"))
    if not (isinstance(size, int) and isinstance(precision, str) and isinstance(frames, str)):
        raise CorruptInput("is not a note of tgl ground", where=where, hint=_HINT)
    return KeptVideo(size, precision, frames)
