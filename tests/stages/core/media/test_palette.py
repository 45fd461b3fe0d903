"""The three colours of a comparison stay apart for every kind of colour vision."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import rgb2lab

from stages.core.media.palette import (
    AGREEMENT,
    BACKGROUND,
    EXTRA,
    MISSED,
    SENTENCES,
    sentence_colour,
)

# Full dichromacy in linear RGB: Machado, Oliveira and Fernandes, "A Physiologically-based Model
# for Simulation of Color Vision Deficiency" (2009), severity 1.
VISION = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# A difference of 2.3 is just visible in CIE Lab; ten times that is told at a glance.
AT_A_GLANCE = 25


def perceived(colour: tuple[int, int, int], vision: str) -> np.ndarray:
    """A colour in CIE Lab as a person with this vision sees it."""
    encoded = np.array(colour) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    changed = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    low = changed <= 0.0031308
    again = np.where(low, changed * 12.92, 1.055 * changed ** (1 / 2.4) - 0.055)
    return rgb2lab(again.reshape(1, 1, 3)).ravel()


@pytest.mark.parametrize("vision", VISION)
def test_regions_and_background_are_told_apart(vision: str) -> None:
    colours = [perceived(colour, vision) for colour in (AGREEMENT, MISSED, EXTRA, BACKGROUND)]
    distances = [np.linalg.norm(a - b) for a, b in combinations(colours, 2)]
    assert min(distances) > AT_A_GLANCE


def test_lightness_of_the_regions_differs_too() -> None:
    lightness = sorted(perceived(colour, "full")[0] for colour in (AGREEMENT, EXTRA, MISSED))
    assert min(np.diff(lightness)) > 5


def test_sentences_have_seven_colours_in_turn() -> None:
    assert len(set(SENTENCES)) == 7
    assert sentence_colour(7) == sentence_colour(0)
