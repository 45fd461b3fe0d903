"""Finding and running ffmpeg."""

from __future__ import annotations

import shutil
from functools import lru_cache

from schemas.errors import MissingInput


@lru_cache(maxsize=1)
def ffmpeg_binary() -> str:
    """The ffmpeg on the PATH, else the one that the wheel imageio-ffmpeg carries.

    Raises:
        MissingInput: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MissingInput("no ffmpeg found", hint="pip install imageio-ffmpeg") from error
