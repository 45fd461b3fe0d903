"""The interface of text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Encoded:
    """One sentence: L tokens, their vectors (L, D), where each stands in the text, and the
    sentence's vector (D,). A special token has an empty range."""

    tokens: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    vectors: np.ndarray
    pooled: np.ndarray
    cut: bool


class Encoder(Protocol):
    """Sentences in, vectors out."""

    dim: int

    def lengths(self, sentences: Sequence[str]) -> list[int]:
        """Tokens of each sentence, for sorting into batches."""

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode a batch; each sentence's result does not depend on its neighbours."""
