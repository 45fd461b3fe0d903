"""Reading single frames as arrays, with errors that name the file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from schemas.errors import CorruptInput
from schemas.files import read_regular
from stages.core.media.png_checks import PNG_SIGNATURE, checked_png

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Files that the stages read as frames, in lower case."""
# A frame of 16K x 16K; more is an attack or a mistake, not a video frame.
MAX_PIXELS = 16384 * 16384


def read_frame(path: Path) -> np.ndarray:
    """Read a frame as uint8 RGB of shape (H, W, 3).

    Raises:
        MissingInput: no such file.
        CorruptInput: truncated, not an image, or of an absurd size.
    """
    with _opened(path) as image:
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, error) from error


def read_upright(path: Path) -> np.ndarray:
    """Read a frame as :func:`read_frame`, rotated by its orientation tag."""
    with _opened(path) as image:
        try:
            return np.asarray(upright(image).convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, error) from error


def frame_size(path: Path) -> tuple[int, int]:
    """(height, width) of a frame in pixels, from its header alone."""
    with _opened(path) as image:
        width, height = image.size
        return height, width


def upright(image: Image.Image) -> Image.Image:
    """An image rotated by its orientation tag."""
    return ImageOps.exif_transpose(image)


def _opened(path: Path) -> Image.Image:
    content = read_regular(path, missing="the frame is missing")
    if content.startswith(PNG_SIGNATURE):
        content = checked_png(content, where=path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images and refuses huge ones; the limit here is our own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise CorruptInput(f"{image.width}x{image.height} pixels are too many", where=path)
    return image


def _unreadable(path: Path, error: Exception) -> CorruptInput:
    if isinstance(error, UnidentifiedImageError):
        return CorruptInput("is not an image", where=path)
    return CorruptInput(f"cannot be decoded ({error})", where=path)
