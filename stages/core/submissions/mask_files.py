"""The mask files that a server accepts: 8-bit greyscale PNGs of 0 and 255, of the video's size."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from schemas.errors import CorruptInput
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.png_checks import checked_png
from stages.core.submissions.expected_masks import Size

LARGEST_FILE_BYTES = 64 * 1024 * 1024
"""More than any real mask has, far less than memory."""
_MODES = {"1": "one bit", "P": "a palette", "RGB": "three channels", "RGBA": "four channels"}


def mask_fault(data: bytes, size: Size | None) -> tuple[str | None, Size | None]:
    """Check a mask file; returns its fault, None if it has none, and its (H, W) if it has one.

    Args:
        data: the file.
        size: (H, W) that the mask must have; None accepts any.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images and refuses huge ones; the limit here is MAX_PIXELS.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(checked_png(data)), formats=["PNG"])
    except CorruptInput as error:
        return error.message, None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return "is not a PNG file", None
    found = image.height, image.width
    if found[0] * found[1] > MAX_PIXELS:
        return f"has {found[1]}x{found[0]} pixels, which are too many", None
    if size is not None and found != size:
        return f"is {found[1]}x{found[0]}, the video {size[1]}x{size[0]}", found
    if image.mode != "L":
        kind = _MODES.get(image.mode, f"mode {image.mode}")
        return f"has {kind}, 8-bit greyscale is needed", found
    try:
        between = sum(image.histogram()[1:255])
    except (OSError, SyntaxError, ValueError) as error:
        return f"cannot be decoded ({error})", found
    if between:
        return f"has {between} pixels that are neither 0 nor 255", found
    return None, found


def black_mask(size: Size) -> bytes:
    """Make the PNG file of an empty mask of (H, W)."""
    file = io.BytesIO()
    Image.new("L", (size[1], size[0])).save(file, "PNG")
    return file.getvalue()
