"""Sentences of a batch."""

from __future__ import annotations

import numpy as np

from stages.core.index.texts import TextEmbedding
from stages.core.model.text import TextBatch


def test_sentences_are_padded() -> None:
    sentences = [
        TextEmbedding(("a",) * n, np.full((n, 4), n, np.float32), np.full(4, n), np.arange(n) == 1)
        for n in (2, 3)
    ]
    batch = TextBatch.of(sentences)
    assert batch.padding.tolist() == [[False, False, True], [False] * 3]
    assert batch.motion.tolist() == [[False, True, False]] * 2
    assert batch.tokens[0, :, 0].tolist() == [2, 2, 0]
    assert batch.pooled[:, 0].tolist() == [2, 3]
    assert batch.dim == 4
