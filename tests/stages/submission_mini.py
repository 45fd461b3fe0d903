"""A split of two videos, its meta file, and predictions that any server takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.tools.submit.config import SubmitInputs

SIZES = {"b": (12, 20), "a": (9, 7)}
EXPRESSIONS = {"b": ["0", "1"], "a": ["0"]}
FRAMES = ["00000", "00005", "00010"]


@dataclass(frozen=True)
class Split:
    """Paths of the split and the predictions."""

    root: Path

    @property
    def inputs(self) -> SubmitInputs:
        """Predictions and meta file; the frames lie beside it."""
        return SubmitInputs(self.root / "preds", self.root / "valid" / "meta_expressions.json")

    def mask(self, path: str) -> Path:
        """A prediction by its path in the zip."""
        return self.root / "preds" / path

    def paths(self) -> list[str]:
        """Every mask in the order of the meta file."""
        return [
            f"{video}/{name}/{frame}.png"
            for video, names in EXPRESSIONS.items()
            for name in names
            for frame in FRAMES
        ]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Video b stands before a in the meta file."""
    split = Split(tmp_path)
    videos = {
        video: {"frames": FRAMES, "expressions": {name: {"exp": "it"} for name in names}}
        for video, names in EXPRESSIONS.items()
    }
    for video, (height, width) in SIZES.items():
        for frame in FRAMES:
            path = tmp_path / "valid" / "JPEGImages" / video / f"{frame}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (width, height)).save(path)
    for path in split.paths():
        height, width = SIZES[path[0]]
        split.mask(path).parent.mkdir(parents=True, exist_ok=True)
        mask = np.eye(height, width, dtype=np.uint8) * 255
        Image.fromarray(mask).save(split.mask(path))
    split.inputs.meta.write_text(json.dumps({"videos": videos}))
    return split
