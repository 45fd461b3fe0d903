"""The interface of text encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

TOKENS_PER_BATCH = 4096
"""Padded tokens of a batch: enough to fill a GPU, few enough for a laptop."""


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


def batches(sentences: Sequence[str], lengths: Sequence[int]) -> Iterator[list[str]]:
    """Group sentences of similar length, so that batches have little padding.

    Args:
        lengths: number of tokens of each sentence.
    """
    order = sorted(range(len(sentences)), key=lambda i: (lengths[i], sentences[i]))
    batch: list[str] = []
    for i in order:
        # Ascending lengths: the newest sentence is the batch's longest.
        if batch and (len(batch) + 1) * lengths[i] > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(sentences[i])
    if batch:
        yield batch
