"""The interface of text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Encoded:
    """An encoded sentence.

    Attributes:
        tokens: L strings.
        ranges: of each token in the sentence, as (start, end); empty for a special token.
        vectors: (L, D).
        pooled: (D,), the vector of the sentence.
        cut: the sentence has more tokens than are kept.
    """

    tokens: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    vectors: np.ndarray
    pooled: np.ndarray
    cut: bool


class Encoder(Protocol):
    """A text encoder, from sentences to vectors."""

    dim: int

    def lengths(self, sentences: Sequence[str]) -> list[int]:
        """Number of tokens of each sentence, for sorting into batches."""

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode a batch; the result of a sentence does not depend on the others."""
