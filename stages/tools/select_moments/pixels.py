"""Frames as an image-text model wants them, by the rules in its preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from schemas.documents import load_object, mapping
from schemas.errors import CorruptInput
from stages.core.datasets.documents.json_values import finite_numbers

PREPROCESSOR = "preprocessor_config.json"
_PROCESSOR = "processor_config.json"
_BICUBIC = 3
_BYTE = 255.0


class Preprocessor:
    """Resize, crop, rescale and normalise, as the model's own image processor does it.

    Args:
        settings: what stands in preprocessor_config.json.
        where: its path, for messages.

    Raises:
        CorruptInput: a size or a mean is not one.
    """

    def __init__(self, settings: Mapping[str, Any], where: object):
        self._settings = settings
        self._where = where
        self._short, self._size = _resize_rule(settings, where)
        self._crop = _pair(settings.get("crop_size"), where) if self._flag("center_crop") else None
        self._filter = Image.Resampling(int(settings.get("resample", _BICUBIC)))
        self._factor = float(settings.get("rescale_factor", 1 / _BYTE))
        normalised = self._flag("normalize")
        mean = finite_numbers(settings["image_mean"], where) if normalised else [0.0] * 3
        deviation = finite_numbers(settings["image_std"], where) if normalised else [1.0] * 3
        self._mean = np.array(mean, dtype=np.float32)
        self._deviation = np.array(deviation, dtype=np.float32)

    def __call__(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """uint8 RGB frames, each (H, W, 3), as float32 (B, 3, S, S)."""
        pixels = np.stack([self._one(frame) for frame in frames])  # (B, S, S, 3)
        pixels = (pixels * np.float32(self._factor) - self._mean) / self._deviation
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))

    def _one(self, frame: np.ndarray) -> np.ndarray:
        image = Image.fromarray(frame)
        if self._flag("resize"):
            image = image.resize(self._target(image.size), self._filter)
        if self._crop is not None:
            image = _center_crop(image, *self._crop)
        return np.asarray(image, dtype=np.float32)

    def _target(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) after resizing."""
        if self._size is not None:
            height, width = self._size
            return width, height
        width, height = size
        assert self._short is not None
        if width <= height:
            return self._short, int(self._short * height / width)
        return int(self._short * width / height), self._short

    def _flag(self, name: str) -> bool:
        return bool(self._settings.get(f"do_{name}", False))


def load_preprocessor(folder: Path) -> Preprocessor:
    """The preprocessor of a model's folder.

    Raises:
        MissingInput: the folder has no rules for images.
        CorruptInput: they cannot be read.
    """
    path = folder / PREPROCESSOR
    if not path.is_file() and (folder / _PROCESSOR).is_file():
        whole = load_object(folder / _PROCESSOR)
        return Preprocessor(
            mapping(whole.get("image_processor"), folder / _PROCESSOR), folder / _PROCESSOR
        )
    return Preprocessor(load_object(path, what="rules for images"), path)


def _resize_rule(
    settings: Mapping[str, Any], where: object
) -> tuple[int | None, tuple[int, int] | None]:
    """(length of the shorter side, None) or (None, (height, width))."""
    size = settings.get("size")
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return _length(size["shortest_edge"], where), None
    return None, _pair(size, where)


def _pair(value: object, where: object) -> tuple[int, int]:
    if isinstance(value, Mapping):
        return _length(value.get("height"), where), _length(value.get("width"), where)
    return _length(value, where), _length(value, where)


def _length(value: object, where: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CorruptInput(f"{value!r} is not a number of pixels", where=where)
    return value


def _center_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    """Crop, or pad with black where the picture is smaller."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
