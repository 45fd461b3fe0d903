"""Mask images of the user's own: every colour but the background is an object."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from schemas.errors import ConfigError, CorruptInput
from schemas.files import read_regular
from schemas.wording import amount
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.png_checks import PNG_SIGNATURE, checked_png
from stages.tools.segment.prompts.records import MaskImage

MOST_OBJECTS = 32
"""Colours from which on an image is taken for a photograph, or for a mask with soft edges."""
_NUMBERED = ("P", "L", "1", "I", "I;16")
"""Modes of Pillow in which a pixel is one number."""
_OPAQUE = 128


def objects_of(prompt: MaskImage, size: tuple[int, int]) -> dict[int, np.ndarray]:
    """Read the masks of the objects in an image.

    A palette or grey image numbers its objects, 0 is the background; in a colour image black and
    transparent pixels are the background, and objects are numbered by their colours.

    Args:
        size: (height, width) of the video.

    Returns:
        a mask, bool (H, W), by the number of its object.

    Raises:
        ConfigError: another size than the video's, no object, or more than can be meant.
        CorruptInput, MissingInput: the file is not an image, or does not exist.
    """
    numbers = prompt.mask if isinstance(prompt.mask, np.ndarray) else _read(prompt.mask)
    if numbers.ndim != 2:
        raise ConfigError(
            f"has {numbers.ndim} dimensions, height and width are needed", where=prompt
        )
    if numbers.shape != size:
        raise ConfigError(
            f"the mask is {numbers.shape[1]}x{numbers.shape[0]} pixels, the video "
            f"{size[1]}x{size[0]}",
            where=prompt,
            hint="draw it on a frame of the video at its own size",
        )
    found = np.unique(numbers)
    found = found[found != 0]
    if not len(found):
        raise ConfigError(
            "the mask is empty", where=prompt, hint="its objects are all that is not black"
        )
    if len(found) > MOST_OBJECTS:
        raise ConfigError(
            f"has {amount(len(found), 'colours')}, more than {MOST_OBJECTS} objects",
            where=prompt,
            hint="paint each object in one colour without soft edges, and save it as PNG",
        )
    return {int(number): numbers == number for number in found}


def _read(path: Path) -> np.ndarray:
    """The number of each pixel's object, (H, W)."""
    content = read_regular(path, missing="no such mask image")
    if content.startswith(PNG_SIGNATURE):
        content = checked_png(content, where=path)
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise CorruptInput(f"{image.width}x{image.height} pixels are too many", where=path)
            if image.mode in _NUMBERED:
                return np.asarray(image).astype(np.int64)
            return _numbered_colours(np.asarray(image.convert("RGBA")))
    except UnidentifiedImageError as error:
        raise CorruptInput("is not an image", where=path) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=path) from error


def _numbered_colours(pixels: np.ndarray) -> np.ndarray:
    """Number the colours of an image, uint8 RGBA (H, W, 4), from 1 by their values; (H, W)."""
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.int64), 2, 0)
    colour = np.where(alpha >= _OPAQUE, (red << 16) + (green << 8) + blue, 0)
    values, numbers = np.unique(colour, return_inverse=True)
    return numbers.reshape(colour.shape) + (0 if values[0] == 0 else 1)
