"""Sentences of a batch, padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from schemas.errors import SchemaMismatch


class Sentence(Protocol):
    """Embeddings of one sentence, as the text artifact has them."""

    @property
    def embeddings(self) -> Any:
        """(N, D) one vector per token."""

    @property
    def pooled(self) -> Any:
        """(D,) the sentence."""

    @property
    def motion(self) -> Any:
        """(N,) bool: tokens that belong to a motion word."""


@dataclass(frozen=True)
class TextBatch:
    """E sentences.

    Attributes:
        tokens: (E, N, D) float.
        padding: (E, N) bool, True at padding.
        pooled: (E, D) float.
        motion: (E, N) bool, True at motion words.
    """

    tokens: Tensor
    padding: Tensor
    pooled: Tensor
    motion: Tensor

    def __post_init__(self) -> None:
        e, n, d = self.tokens.shape
        expected = {"padding": (e, n), "pooled": (e, d), "motion": (e, n)}
        for name, shape in expected.items():
            actual = tuple(getattr(self, name).shape)
            if actual != shape:
                raise ValueError(f"{name} has shape {actual}, expected {shape}")

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> TextBatch:
        return TextBatch(
            self.tokens[index], self.padding[index], self.pooled[index], self.motion[index]
        )

    def to(self, *args: Any, **kwargs: Any) -> TextBatch:
        """As ``Tensor.to``; a type applies to tokens and pooled only."""
        device = self.tokens.to(*args, **kwargs).device
        return TextBatch(
            self.tokens.to(*args, **kwargs),
            self.padding.to(device),
            self.pooled.to(*args, **kwargs),
            self.motion.to(device),
        )

    @property
    def dim(self) -> int:
        """D."""
        return self.tokens.shape[2]

    def check_dim(self, expected: int) -> None:
        """Raise SchemaMismatch unless D is the width that the model was made for."""
        if self.dim != expected:
            raise SchemaMismatch(
                f"the text has {self.dim} numbers per token, the model expects {expected}",
                hint="precompute the text with the encoder that the model was trained with",
            )

    @staticmethod
    def of(sentences: Sequence[Sentence]) -> TextBatch:
        """Pad sentences of different length; an empty one counts as all padding."""
        if not sentences:
            raise ValueError("no sentences")
        lengths = [len(sentence.embeddings) for sentence in sentences]
        width = len(sentences[0].pooled)
        longest = max(1, *lengths)
        tokens = np.zeros((len(sentences), longest, width), np.float32)
        padding = np.ones((len(sentences), longest), bool)
        motion = np.zeros((len(sentences), longest), bool)
        for row, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
            tokens[row, :length] = sentence.embeddings
            padding[row, :length] = False
            motion[row, :length] = sentence.motion
        pooled = np.stack([np.asarray(sentence.pooled, np.float32) for sentence in sentences])
        return TextBatch(
            torch.from_numpy(tokens),
            torch.from_numpy(padding),
            torch.from_numpy(pooled),
            torch.from_numpy(motion),
        )
