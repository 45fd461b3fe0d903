"""Augmentations under which the sentence stays true."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_PAIRS = (
    ("left", "right"),
    ("leftmost", "rightmost"),
    ("leftward", "rightward"),
    ("leftwards", "rightwards"),
    ("clockwise", "counterclockwise"),
    ("clockwise", "anticlockwise"),
    ("clockwise", "counter-clockwise"),
    ("clockwise", "anti-clockwise"),
)
MIRRORED = {b: a for a, b in _PAIRS} | dict(reversed(_PAIRS))
"""Words and their mirrored forms; of several spellings the first pair's is used."""

_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COLOUR_WORDS = re.compile(
    r"\b(amber|beige|black|blonde?|blue|bright|brown|brunette|colou?r(ed|ful)|cream|crimson|cyan"
    r"|dark|gold(en)?|gr[ae]y|green|indigo|ivory|khaki|lavender|lime|magenta|maroon|navy|ochre"
    r"|olive|orange|pale|pink|purple|red|rose|ruby|scarlet|silver|tan|teal|turquoise|violet|white"
    r"|yellow)(d?ish)?\b"
)

# Weights of the luma (ITU-R BT.601) that saturation is relative to.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_WHITE = 255.0


def mirrored_sentence(sentence: str) -> str:
    """The sentence for the mirrored clip, with left and right exchanged."""

    def swap(found: re.Match[str]) -> str:
        word = found.group()
        mirrored = MIRRORED.get(word.lower())
        if mirrored is None:
            return "-".join(_cased(p, MIRRORED.get(p.lower(), p)) for p in word.split("-"))
        return _cased(word, mirrored)

    return _WORDS.sub(swap, sentence)


def names_colour(sentence: str) -> bool:
    """Whether a change of colours could make the sentence false."""
    return _COLOUR_WORDS.search(sentence.lower()) is not None


@dataclass(frozen=True)
class ColourChange:
    """Factors near 1 for a whole clip."""

    brightness: float
    contrast: float
    saturation: float

    @staticmethod
    def draw(strength: float, rng: np.random.Generator) -> ColourChange:
        """Three factors from [1 - strength, 1 + strength]."""
        low, high = 1 - strength, 1 + strength
        return ColourChange(*(float(rng.uniform(low, high)) for _ in range(3)))

    def apply(self, frames: np.ndarray) -> np.ndarray:
        """Change frames, uint8 (T, H, W, 3); contrast is relative to the clip's mean luma."""
        pixels = frames.astype(np.float32) * self.brightness
        luma = pixels @ _LUMA  # (T, H, W)
        pixels = luma[..., None] + (pixels - luma[..., None]) * self.saturation
        mean = luma.mean()
        pixels = mean + (pixels - mean) * self.contrast
        return np.clip(np.rint(pixels), 0, _WHITE).astype(np.uint8)


def _cased(word: str, replacement: str) -> str:
    """`replacement` with the case of `word`."""
    if word.isupper():
        return replacement.upper()
    return replacement.capitalize() if word[:1].isupper() else replacement
