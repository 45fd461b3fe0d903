"""Frames as pixels of the training size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Video
from stages.core.model.backbones.preprocess import resize_frames
from stages.train.data.augment import ColourChange


def read_pixels(
    video: Video, frames: np.ndarray, size: int, change: ColourChange | None = None
) -> Tensor:
    """Decode frames, resized to the training size.

    One frame is in memory at a time, unless colours change: contrast is relative to the clip.

    Args:
        frames: int (T,) positions in the video.
        change: applied to the colours before resizing.

    Returns:
        uint8 (T, 3, size, size).

    Raises:
        MissingInput, CorruptInput: naming the file.
    """
    if change is not None:
        images = np.stack([read_video_frame(video, int(frame)) for frame in frames])
        return resize_frames(change.apply(images), size)
    pixels = torch.empty(len(frames), 3, size, size, dtype=torch.uint8)
    for place, frame in enumerate(frames):
        pixels[place] = resize_frames(read_video_frame(video, int(frame))[None], size)[0]
    return pixels
