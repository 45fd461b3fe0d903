"""Folders of predicted masks, `<video>/<expression>/<frame>.png`, and frames without an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput
from schemas.layouts import FRAMES_FOLDER, natural_key
from stages.core.media.frames import FRAME_SUFFIXES, read_frame


def predicted_expressions(preds: Path) -> dict[str, list[str]]:
    """Expression ids by video, both by the numbers in their names."""
    videos = {
        folder.name: sorted((p.name for p in folder.iterdir() if p.is_dir()), key=natural_key)
        for folder in sorted(preds.iterdir(), key=lambda folder: natural_key(folder.name))
        if folder.is_dir() and not folder.name.startswith(".")
    }
    return {video_id: names for video_id, names in videos.items() if names}


def frames_of_video(root: Path, video_id: str, *, single: bool) -> tuple[Path, ...]:
    """Frames of a video in any layout of a bare folder, ordered by the numbers in their names.

    Args:
        single: there are predictions for this video only, so `root` may contain its frames.
    """
    folders = [root / FRAMES_FOLDER / video_id, root / video_id]
    if single:
        folders.append(root)
    for folder in folders:
        if folder.is_dir():
            files = (path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES)
            frames = sorted(files, key=lambda path: natural_key(path.name))
            if frames:
                return tuple(frames)
    return ()


def read_prediction(path: Path, height: int, width: int) -> np.ndarray:
    """Read a prediction as bool (H, W); any non-zero value is foreground.

    Args:
        height, width: of the video.

    Raises:
        MissingInput: no such file.
        CorruptInput: not an image, or of another size than the video.
    """
    red, green, blue = np.moveaxis(read_frame(path), 2, 0)
    mask = (red | green | blue) > 0
    if mask.shape != (height, width):
        raise CorruptInput(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} pixels, the video {width}x{height}",
            where=path,
            hint="predictions must have the size of the video",
        )
    return mask
