"""`--encoder hash`: a fixed random vector for every word, for trials without a download.

A word's vector is mostly that of its stem, so that "jumps" and "jumping" are similar, and has a
small part for the position, which keeps the order of words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from stages.core.model.text_encoders.encoding import Encoded
from stages.core.model.text_encoders.motion_words import stem

_WORD = re.compile(r"\w+(?:'\w+)?", re.UNICODE)
_STEM_SHARE = 0.8
_POSITION_SHARE = 0.1
_EMPTY = "<empty>"


class HashEncoder:
    """Deterministic word vectors of unit variance.

    Args:
        dim: D, the width.
        max_tokens: most words of a sentence.
        pooling: "mean" or "first".
    """

    def __init__(self, dim: int, max_tokens: int, pooling: str):
        self.dim = dim
        self._max_tokens = max_tokens
        self._pooling = pooling
        self._known: dict[str, np.ndarray] = {}

    def lengths(self, sentences: Sequence[str]) -> list[int]:
        """Number of words, at least one."""
        return [max(1, min(len(_WORD.findall(s)), self._max_tokens)) for s in sentences]

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence by its words."""
        return [self._encode(sentence) for sentence in sentences]

    def _encode(self, sentence: str) -> Encoded:
        found = list(_WORD.finditer(sentence))
        words = [match[0].lower() for match in found[: self._max_tokens]] or [_EMPTY]
        ranges = [match.span() for match in found[: self._max_tokens]] or [(0, 0)]
        vectors = np.stack([self._vector(word, n) for n, word in enumerate(words)])
        pooled = vectors.mean(axis=0) if self._pooling == "mean" else vectors[0]
        cut = len(found) > self._max_tokens
        return Encoded(tuple(words), tuple(ranges), vectors, pooled, cut)

    def _vector(self, word: str, position: int) -> np.ndarray:
        word_share = np.sqrt(1 - _STEM_SHARE**2 - _POSITION_SHARE**2)
        return (
            _STEM_SHARE * self._random(f"stem {stem(word)}")
            + word_share * self._random(f"word {word}")
            + _POSITION_SHARE * self._random(f"place {position}")  # the key of stored vectors
        )

    def _random(self, name: str) -> np.ndarray:
        """A normal vector (D,) that depends on the name alone, on every machine."""
        if name not in self._known:
            digest = hashlib.sha256(f"{self.dim} {name}".encode()).digest()
            generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
            self._known[name] = generator.standard_normal(self.dim).astype(np.float32)
        return self._known[name]
