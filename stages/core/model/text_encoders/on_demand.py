"""Embeddings of sentences that are encoded when they are needed, in place of a text artifact."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from schemas.errors import CorruptInput
from stages.core.index.texts import TextEmbedding
from stages.core.model.text_encoders.encoding import Encoded, Encoder, batches
from stages.core.model.text_encoders.motion_words import motion_mask


class EncodedTexts:
    """Embeddings by sentence, equal to those of `tgl precompute-text --motion-words list`.

    Args:
        encoder: of the sentences.

    Attributes:
        dim: D.
    """

    def __init__(self, encoder: Encoder):
        self.dim = encoder.dim
        self._encoder = encoder
        self._known: dict[str, TextEmbedding] = {}

    def require(self, expressions: Iterable[str]) -> None:
        """Encode sentences, and forget all others: one video's are needed at a time.

        Raises:
            CorruptInput: the encoder gives numbers that are not finite.
        """
        wanted = set(expressions)
        self._known = {text: known for text, known in self._known.items() if text in wanted}
        missing = sorted(wanted - self._known.keys())
        for batch in batches(missing, self._encoder.lengths(missing) if missing else []):
            for text, found in zip(batch, self._encoder.encode(batch), strict=True):
                self._known[text] = _embedding(text, found)

    def get(self, expression: str) -> TextEmbedding:
        """The embedding of a sentence that was required."""
        return self._known[expression]


def _embedding(text: str, found: Encoded) -> TextEmbedding:
    return TextEmbedding(
        found.tokens,
        _rounded(found.vectors, text),
        _rounded(found.pooled, text),
        np.array(motion_mask(text, found), bool),
    )


def _rounded(values: np.ndarray, text: str) -> np.ndarray:
    """Values as the text artifact has them: in half precision, where they fit into it."""
    if not np.isfinite(values).all():
        raise CorruptInput("the encoder returns numbers that are not finite", where=repr(text))
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return (half if np.isfinite(half).all() else values).astype(np.float32)
