"""PNG images, alone or one per frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.errors import system_errors


def write_png(path: Path, image: np.ndarray) -> None:
    """Write one image, uint8 RGB or RGBA."""
    Image.fromarray(image).save(path, "PNG")


def write_frames(folder: Path, frames: Iterable[np.ndarray], names: Sequence[str]) -> None:
    """Write uint8 RGB or RGBA frames as `<name>.png` in a new folder."""
    with system_errors(folder):
        folder.mkdir()
        for name, frame in zip(names, frames, strict=True):
            write_png(folder / f"{name}.png", frame)
