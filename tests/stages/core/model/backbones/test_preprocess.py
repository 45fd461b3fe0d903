"""Frames become the pixels that the encoder was trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.core.model.backbones.preprocess import preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_preprocessing_normalises_bytes() -> None:
    frames = np.full((2, 6, 4, 3), 255, np.uint8)
    pixels = preprocess(frames, 32)
    assert tuple(pixels.shape) == (2, 3, 32, 32)
    for channel in range(3):
        expected = (1 - MEAN[channel]) / STD[channel]
        assert torch.allclose(pixels[:, channel], torch.tensor(expected))


def test_preprocessing_resizes_bytes_not_floats() -> None:
    """Every value is a whole byte before normalisation."""
    frames = np.random.default_rng(0).integers(0, 256, (1, 37, 53, 3), np.uint8)
    pixels = preprocess(frames, 32)
    std, mean = (torch.tensor(value).view(1, 3, 1, 1) for value in (STD, MEAN))
    levels = (pixels * std + mean) * 255
    assert float((levels - levels.round()).abs().max()) < 1e-3


def test_preprocessing_refuses_other_layouts() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(T, H, W, 3\)"):
        preprocess(np.zeros((2, 3, 8, 8), np.uint8), 32)
