"""Frames to the pixels that an image encoder was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WHITE = 255.0


def resize_frames(frames: np.ndarray | Tensor, size: int) -> Tensor:
    """Resize frames to a square, as bytes.

    The processor of SAM 2 resizes bytes, with antialiasing; resizing floats gives values that
    differ by up to 0.0175 after normalisation.

    Args:
        frames: uint8 (T, H, W, 3), RGB, numpy or torch.
        size: side of the square in pixels.

    Returns:
        uint8 (T, 3, size, size).
    """
    if isinstance(frames, np.ndarray):
        # torch warns about read-only arrays, such as Pillow's.
        frames = torch.from_numpy(frames if frames.flags.writeable else frames.copy())
    tensor = frames
    if tensor.ndim != 4 or tensor.shape[-1] != 3 or tensor.dtype != torch.uint8:
        raise ValueError(
            f"frames are {tensor.dtype} {tuple(tensor.shape)}, expected uint8 (T, H, W, 3)"
        )
    tensor = tensor.permute(0, 3, 1, 2)  # (T, 3, H, W)
    if tensor.shape[-2:] == (size, size):
        return tensor.contiguous()
    return F.interpolate(
        tensor, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )


def normalise(
    frames: Tensor,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensor:
    """Bytes (T, 3, S, S) to float32 with a mean and deviation per channel, (T, 3, S, S).

    The defaults, ImageNet's, are SAM 2's; ``Backbone.encode_frames`` takes the model's own.
    """
    means = torch.tensor(mean, device=frames.device).view(1, 3, 1, 1)
    deviations = torch.tensor(std, device=frames.device).view(1, 3, 1, 1)
    return (frames.float() / WHITE - means) / deviations


def preprocess(frames: np.ndarray | Tensor, size: int) -> Tensor:
    """uint8 frames (T, H, W, 3) to the input of SAM 2's encoder, float32 (T, 3, size, size)."""
    return normalise(resize_frames(frames, size))
