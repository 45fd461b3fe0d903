"""What a server accepts as one mask: an 8-bit grey PNG of 0 and 255, of the video's size."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from schemas.errors import CorruptInput
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.mask_png import sound_png
from stages.core.submissions.expected_masks import Size

# More than any honest mask, far less than memory.
LARGEST_FILE_BYTES = 64 * 1024 * 1024
_MODES = {"1": "one bit", "P": "a palette", "RGB": "three channels", "RGBA": "four channels"}


def fault_of(data: bytes, size: Size | None) -> tuple[str | None, Size | None]:
    """What is wrong with a mask, None if nothing is, and its (height, width) if it has one.

    Args:
        data: the file.
        size: what the mask must measure; None accepts any.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and refuses huge ones; the limit here is our own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(sound_png(data)), formats=["PNG"])
    except CorruptInput as error:
        return error.message, None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return "is not a PNG", None
    found = image.height, image.width
    if found[0] * found[1] > MAX_PIXELS:
        return f"has {found[1]} x {found[0]} pixels, which is absurd", None
    if size is not None and found != size:
        return f"is {found[1]} x {found[0]} pixels, the video {size[1]} x {size[0]}", found
    if image.mode != "L":
        kind = _MODES.get(image.mode, f"mode {image.mode}")
        return f"has {kind}, 8-bit grey is needed", found
    try:
        between = sum(image.histogram()[1:255])
    except (OSError, SyntaxError, ValueError) as error:
        return f"cannot be decoded ({error})", found
    if between:
        return f"holds {between} pixels that are neither 0 nor 255", found
    return None, found


def black(size: Size) -> bytes:
    """A mask of nothing, (height, width), as PNG."""
    file = io.BytesIO()
    Image.new("L", (size[1], size[0])).save(file, "PNG")
    return file.getvalue()
